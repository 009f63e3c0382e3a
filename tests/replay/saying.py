"""What a replay said, by kind."""

from typing import Any


class Said:
    def __init__(self, records: list[Any]) -> None:
        self.records = records
        self.kinds = [record.__struct_config__.tag for record in records]

    def __getattr__(self, kind: str) -> list[Any]:
        return [record for record, tag in zip(self.records, self.kinds, strict=True) if tag == kind]

    @property
    def last(self) -> Any:
        """The summary."""
        return self.records[-1]
