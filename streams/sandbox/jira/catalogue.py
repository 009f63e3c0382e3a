"""What a Jira site knows before the first ticket: people, projects, workflow, fields, and their wire shapes."""

from typing import Any, NamedTuple

OUTCOME = "customfield_10100"
OUTCOMES = {  # option id -> value
    "10200": "fixed",
    "10201": "false_positive",
    "10202": "accepted_risk",
    "10203": "wont_fix",
    "10204": "external_cause",
    "10205": "duplicate",
    "10206": "cannot_reproduce",
}
RESOLUTIONS = {
    "10000": "Done",
    "10001": "Won't Do",
    "10002": "Duplicate",
    "10003": "Cannot Reproduce",
    "10004": "Fixed",
    "10005": "Not a bug",
    "10006": "Accepted risk",
    "10007": "External cause",
}
PRIORITIES = {"1": "Highest", "2": "High", "3": "Medium", "4": "Low", "5": "Lowest"}
KINDS = {"10001": "Task", "10002": "Bug", "10003": "Incident"}
LINK_KINDS = {
    "10000": ("Blocks", "is blocked by", "blocks"),
    "10002": ("Duplicate", "is duplicated by", "duplicates"),
    "10003": ("Relates", "relates to", "relates to"),
}
CATEGORIES = {
    "new": (2, "To Do", "blue-gray"),
    "indeterminate": (4, "In Progress", "yellow"),
    "done": (3, "Done", "green"),
}
STATUSES = {"10000": ("To Do", "new"), "3": ("In Progress", "indeterminate"), "10001": ("Done", "done")}
TODO, DOING, DONE = "10000", "3", "10001"


class Transition(NamedTuple):
    id: str
    name: str
    to: str
    start: tuple[str, ...]


TRANSITIONS = (
    Transition("11", "Stop progress", TODO, (DOING,)),
    Transition("21", "Start progress", DOING, (TODO,)),
    Transition("31", "Done", DONE, (TODO, DOING)),
    Transition("41", "Reopen", TODO, (DONE,)),
)


class Person(NamedTuple):
    id: str
    name: str
    email: str


ROBOT = Person("5b10a2844c20165700ede21f", "Tocsin", "tocsin@example.com")
HUMAN = Person("5b10a2844c20165700ede21g", "Person at the page", "person@example.com")  # who acts through the pages
PEOPLE = (
    ROBOT,
    HUMAN,
    Person("5b10ac8d82e05b22cc7d4ef5", "Ada Lindqvist", "ada@example.com"),
    Person("5b109f2e9729b51b54dc274d", "Bruno Okafor", "bruno@example.com"),
)


def people(person: str) -> Person | None:
    """A person by id or by e-mail; whoever signs in with another e-mail has an account that is named after it."""
    for known in PEOPLE:
        if person in {known.id, known.email, known.email.partition("@")[0]}:
            return known
    if "@" not in person:
        return None
    email = person.removeprefix("sandbox:")
    return Person(f"sandbox:{email}", email.partition("@")[0].replace(".", " ").title(), email)


def user_bean(base: str, person: str, *, cloud: bool = True) -> dict[str, Any]:
    known = people(person) or Person(person, "Former user", "former@example.com")
    if not cloud:
        name = known.email.partition("@")[0]
        return {
            "self": f"{base}/rest/api/2/user?username={name}",
            "name": name,
            "key": f"JIRAUSER{10_000 + sum(known.id.encode())}",
            "emailAddress": known.email,
            "displayName": known.name,
            "active": True,
            "timeZone": "Etc/UTC",
        }
    return {
        "self": f"{base}/rest/api/3/user?accountId={known.id}",
        "accountId": known.id,
        "accountType": "atlassian",
        "emailAddress": known.email,
        "displayName": known.name,
        "active": True,
        "timeZone": "Etc/UTC",
    }


def status_bean(base: str, status: str) -> dict[str, Any]:
    name, category = STATUSES[status]
    number, category_name, colour = CATEGORIES[category]
    return {
        "self": f"{base}/rest/api/3/status/{status}",
        "id": status,
        "name": name,
        "description": "",
        "iconUrl": f"{base}/images/icons/statuses/generic.png",
        "statusCategory": {
            "self": f"{base}/rest/api/3/statuscategory/{number}",
            "id": number,
            "key": category,
            "name": category_name,
            "colorName": colour,
        },
    }


def named_bean(base: str, what: str, number: str, name: str) -> dict[str, Any]:
    """Priorities, resolutions: an id, a name and an address."""
    return {"self": f"{base}/rest/api/3/{what}/{number}", "id": number, "name": name, "description": name}


def kind_bean(base: str, number: str) -> dict[str, Any]:
    return {
        "self": f"{base}/rest/api/3/issuetype/{number}",
        "id": number,
        "name": KINDS[number],
        "description": "",
        "iconUrl": f"{base}/images/icons/issuetypes/generic.png",
        "subtask": False,
        "hierarchyLevel": 0,
    }


def project_bean(base: str, number: str, key: str) -> dict[str, Any]:
    return {
        "self": f"{base}/rest/api/3/project/{number}",
        "id": number,
        "key": key,
        "name": f"{key} (sandbox)",
        "projectTypeKey": "software",
        "simplified": False,
        "style": "classic",
        "isPrivate": False,
    }


def option_bean(base: str, value: str) -> dict[str, Any]:
    number = next(number for number, known in OUTCOMES.items() if known == value)
    return {"self": f"{base}/rest/api/3/customFieldOption/{number}", "id": number, "value": value}


class Field(NamedTuple):
    """`operations` is empty for what no screen sets; `on_create` is False for what only a transition asks."""

    name: str
    schema: dict[str, Any]
    operations: tuple[str, ...] = ()
    required: bool = False
    on_create: bool = True


FIELDS: dict[str, Field] = {
    "summary": Field("Summary", {"type": "string", "system": "summary"}, ("set",), required=True),
    "issuetype": Field("Issue Type", {"type": "issuetype", "system": "issuetype"}, (), required=True),
    "project": Field("Project", {"type": "project", "system": "project"}, ("set",), required=True),
    "description": Field("Description", {"type": "string", "system": "description"}, ("set",)),
    "labels": Field("Labels", {"type": "array", "items": "string", "system": "labels"}, ("add", "set", "remove")),
    "priority": Field("Priority", {"type": "priority", "system": "priority"}, ("set",)),
    "assignee": Field("Assignee", {"type": "user", "system": "assignee"}, ("set",)),
    "duedate": Field("Due date", {"type": "date", "system": "duedate"}, ("set",)),
    "fixVersions": Field(
        "Fix versions", {"type": "array", "items": "version", "system": "fixVersions"}, ("set", "add", "remove")
    ),
    OUTCOME: Field(
        "Outcome",
        {"type": "option", "custom": "com.atlassian.jira.plugin.system.customfieldtypes:select", "customId": 10100},
        ("set",),
    ),
    "resolution": Field("Resolution", {"type": "resolution", "system": "resolution"}, ("set",), on_create=False),
    "status": Field("Status", {"type": "status", "system": "status"}),
    "created": Field("Created", {"type": "datetime", "system": "created"}),
    "updated": Field("Updated", {"type": "datetime", "system": "updated"}),
    "resolutiondate": Field("Resolved", {"type": "datetime", "system": "resolutiondate"}),
    "creator": Field("Creator", {"type": "user", "system": "creator"}),
    "reporter": Field("Reporter", {"type": "user", "system": "reporter"}),
    "attachment": Field("Attachment", {"type": "array", "items": "attachment", "system": "attachment"}),
    "comment": Field("Comment", {"type": "comments-page", "system": "comment"}),
    "issuelinks": Field("Linked Issues", {"type": "array", "items": "issuelinks", "system": "issuelinks"}),
}


def link_kind(given: Any) -> str | None:
    """The id of a link type named by id or name."""
    if not isinstance(given, dict):
        return None
    wanted = {str(given.get("id")), str(given.get("name"))}
    return next((number for number, (name, _, _) in LINK_KINDS.items() if wanted & {number, name}), None)


def field_bean(number: str) -> dict[str, Any]:
    field = FIELDS[number]
    return {
        "id": number,
        "key": number,
        "name": field.name,
        "custom": number == OUTCOME,
        "orderable": bool(field.operations),
        "navigable": True,
        "searchable": True,
        "clauseNames": ["cf[10100]", "Outcome"] if number == OUTCOME else [number],
        "schema": field.schema,
    }


def screen_bean(base: str, number: str, *, required: bool) -> dict[str, Any]:
    """A field as the create screen and the transition screen describe it."""
    field = FIELDS[number]
    bean: dict[str, Any] = {
        "required": required,
        "schema": field.schema,
        "name": field.name,
        "key": number,
        "fieldId": number,
        "hasDefaultValue": number == "priority",
        "operations": list(field.operations),
    }
    match number:
        case "priority":
            bean["allowedValues"] = [named_bean(base, "priority", *pair) for pair in PRIORITIES.items()]
        case "resolution":
            bean["allowedValues"] = [named_bean(base, "resolution", *pair) for pair in RESOLUTIONS.items()]
        case "issuetype":
            bean["allowedValues"] = [kind_bean(base, kind) for kind in KINDS]
        case _ if number == OUTCOME:
            bean["allowedValues"] = [option_bean(base, value) for value in OUTCOMES.values()]
    return bean
