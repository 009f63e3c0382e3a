#!/bin/sh
# Any other pipeline: asks the gate with the command, or, where Python is not at hand, with curl alone.
#
#   AGENT=support-bot RELEASE=2026.11.2 TOCSIN_GATE=https://tocsin.example ./gate.sh
#
# Exit codes are the command's: 0 allow or warn, 20 hold, 30 block, 2 usage, 4 nobody answered with a decision.
set -u
: "${AGENT:?}" "${RELEASE:?}" "${TOCSIN_GATE:?}" "${ENVIRONMENT:=prod}" "${GATE:=promotion}"

if command -v tocsin >/dev/null 2>&1; then
    exec tocsin gate check --agent "$AGENT" --release "$RELEASE" --environment "$ENVIRONMENT" --gate "$GATE" \
        --url "$TOCSIN_GATE" --wait "${WAIT:-0s}"
fi

# --fail: an error's body is no decision. No --location: a redirect leads to a login page, and that is none either.
answer=$(curl --silent --show-error --fail --max-time 10 --get "$TOCSIN_GATE/v1/gates/$GATE/decision" \
    --data-urlencode "agent=$AGENT" --data-urlencode "release=$RELEASE" --data-urlencode "environment=$ENVIRONMENT") || exit 4
case $answer in
    '{"record":"decision","schema":"gate.decision/v1",'*) ;;
    *) echo "What answered is not Tocsin's gate." >&2; exit 4 ;;
esac
# The state comes before everything that strangers wrote: reasons and titles come after it in the document.
state=$(printf '%s' "$answer" | sed -n 's/^[^[]*"state":"\([a-z]*\)".*/\1/p')
echo "$state: $TOCSIN_GATE" >&2
case $state in
    allow | warn) exit 0 ;;
    hold) exit 20 ;;
    block) exit 30 ;;
    *) exit 4 ;;
esac
