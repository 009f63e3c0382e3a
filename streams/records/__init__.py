"""Every noun that crosses a topic or the wire, by family."""

from .agent import *  # noqa: F403
from .calls import *  # noqa: F403
from .cases import *  # noqa: F403
from .control import *  # noqa: F403
from .delivery import *  # noqa: F403
from .envelope import *  # noqa: F403
from .gate import *  # noqa: F403
from .gate_inputs import *  # noqa: F403
from .gating import *  # noqa: F403
from .hooks import *  # noqa: F403
from .incident import *  # noqa: F403
from .notices import *  # noqa: F403
from .people import *  # noqa: F403
from .policy import *  # noqa: F403
from .power import *  # noqa: F403
from .stream import *  # noqa: F403
