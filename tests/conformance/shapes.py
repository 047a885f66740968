"""Checks answers of a Graph server against Microsoft's own schema, reduced to the types that mailkeeper meets.

For each endpoint the type of its answer stands in TYPES; everything below it comes from the schema: which members exist, of
which type, and whether null may stand there. Errors, links, contexts and headers have rules of their own. Independent of
the simulated tenant and of mailkeeper: reads recorded bytes.
"""

import json
import re
import urllib.parse

GUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
KEY = r"[^/?]+"

# (method, path below the version) -> (type, many?). None: no body, or one that is checked by hand.
TYPES = [
    ("GET", r"/users", "user", True),
    ("GET", r"/users/(microsoft\.graph\.)?delta(\(\))?", "user", True),
    ("GET", rf"/users/{KEY}", "user", False),
    ("GET", rf"/users/{KEY}/licenseDetails", "licenseDetails", True),
    ("GET", rf"/users/{KEY}/mailboxSettings", "mailboxSettings", False),
    ("GET", rf"/users/{KEY}/settings/exchange", "exchangeSettings", False),
    ("POST", rf"/users/{KEY}/(microsoft\.graph\.)?assignLicense", "user", False),
    ("POST", rf"/users/{KEY}/(microsoft\.graph\.)?reprocessLicenseAssignment", "user", False),
    ("POST", r"/users", "user", False),
    ("GET", r"/directory/deletedItems/(microsoft\.)?graph\.user", "user", True),
    ("GET", rf"/directory/deletedItems/{KEY}", "user", False),
    ("POST", rf"/directory/deletedItems/{KEY}/(microsoft\.graph\.)?restore", "user", False),
    ("GET", r"/subscribedSkus", "subscribedSku", True),
    ("GET", rf"/subscribedSkus/{KEY}", "subscribedSku", False),
    ("GET", r"/directory/subscriptions", "companySubscription", True),
    ("GET", rf"/directory/subscriptions/{KEY}", "companySubscription", False),
    ("GET", r"/organization", "organization", True),
    ("GET", r"/groups", "group", True),
    ("GET", rf"/groups/{KEY}", "group", False),
    ("POST", rf"/groups/{KEY}/assignLicense", "group", False),
    ("GET", rf"/groups/{KEY}/(transitiveM|m)embers", "directoryObject", True),
    ("GET", rf"/groups/{KEY}/(transitiveM|m)embers/(microsoft\.)?graph\.user", "user", True),
    ("GET", r"/auditLogs/directoryAudits", "directoryAudit", True),
]

# Numbers as plain text.
COUNTS = [r"/(users|groups)/\$count", rf"/groups/{KEY}/(transitiveM|m)embers(/(microsoft\.)?graph\.user)?/\$count"]

# JSON that is no entity: the member `value` holds a value of this type.
VALUES = [
    ("GET", rf"/users/{KEY}/mailboxSettings/userPurpose", "graph.userPurpose"),
    ("POST", rf"/users/{KEY}/checkMemberGroups", "Collection(Edm.String)"),
]

# Success without a body.
EMPTY = [
    ("DELETE", rf"/users/{KEY}"),
    ("PATCH", rf"/users/{KEY}"),
    ("POST", rf"/groups/{KEY}/members/\$ref"),
    ("DELETE", rf"/groups/{KEY}/members/{KEY}/\$ref"),
]


class Shapes:
    """The schema file, and the faults found so far."""

    def __init__(self, path, origin):
        with open(path, encoding="utf-8") as file:
            schema = json.load(file)
        self.types, self.enums = schema["types"], schema["enums"]
        self.origin = origin
        self.faults = {}
        self.seen = {}

    def check_all(self, exchanges):
        for exchange in exchanges:
            if exchange.target.startswith("/v1.0/"):
                path = urllib.parse.unquote(exchange.path.removeprefix("/v1.0"))
                place = f"{exchange.method} {path} -> {exchange.status}"
                self.check_headers(exchange, place)
                self.check_answer(exchange.method, path, exchange.status, exchange.headers, exchange.body, place)
                if path == "/$batch" and exchange.status == 200:
                    self.check_batch(json.loads(exchange.request_body), exchange.json(), place)

    def fault(self, place, text):
        """Notes a fault; the same one on other objects counts once."""
        place = re.sub(r"\[\d+\]", "[]", re.sub(GUID, "{id}", place))
        self.faults[f"{place}: {text}"] = self.faults.get(f"{place}: {text}", 0) + 1

    def check_headers(self, exchange, place):
        headers = exchange.headers
        for name in ("request-id", "client-request-id", "date", "x-ms-ags-diagnostic"):
            if name not in headers:
                self.fault(place, f"no {name}")
        ours = exchange.request_headers.get("client-request-id")
        if ours and headers.get("client-request-id") != ours:
            self.fault(place, "client-request-id is not the one that was sent")
        if exchange.status == 429 and not headers.get("retry-after", "").isdigit():
            self.fault(place, "429 without a Retry-After in seconds")
        if exchange.status == 401 and not headers.get("www-authenticate", "").startswith("Bearer "):
            self.fault(place, "401 without a challenge")

    def check_answer(self, method, path, status, headers, body, place):
        if status >= 400:
            return self.check_error(body, headers, place)
        media = headers.get("content-type", "")
        if any(re.fullmatch(pattern, path) for pattern in COUNTS):
            self.note(method, "$count")
            if not media.startswith("text/plain") or not re.fullmatch(rb"\xef\xbb\xbf?\d+|\d+", body):
                self.fault(place, f"a count is {media} {body[:40]!r}")
            return None
        if method == "GET" and path == "/":
            sets = json.loads(body)
            good = sets["@odata.context"] == f"{self.origin}/v1.0/$metadata"
            if not (good and all(set(entry) == {"name", "kind", "url"} for entry in sets["value"])):
                self.fault(place, f"no service document: {body[:80]!r}")
            return None
        if any(method == known and re.fullmatch(pattern, path) for known, pattern in EMPTY):
            self.note(method, path)
            if status != 204 or body:
                self.fault(place, "expected 204 without a body")
            return None
        if not media.startswith("application/json"):
            return self.fault(place, f"content type {media!r}")
        answer = json.loads(body)
        if path == "/$batch":
            return None
        context = answer.get("@odata.context", "")
        if not context.startswith(f"{self.origin}/v1.0/$metadata#"):
            self.fault(place, f"@odata.context {context!r}")
        for known, pattern, kind in VALUES:
            if method == known and re.fullmatch(pattern, path):
                self.note(method, pattern)
                return self.check(kind, False, answer.get("value"), f"{place} value")
        for known, pattern, kind, is_many in TYPES:
            if method == known and re.fullmatch(pattern, path):
                self.note(method, pattern)
                return self.check_entities(kind, is_many, answer, place)
        return self.fault(place, "an endpoint that this checker does not know")

    def note(self, method, pattern):
        key = re.sub(GUID, "{id}", f"{method} {pattern}".replace(KEY, "{key}"))
        self.seen[key] = self.seen.get(key, 0) + 1

    def check_entities(self, kind, is_many, answer, place):
        if not is_many:
            if "/$entity" not in answer["@odata.context"] and kind in ("user", "group", "directoryObject"):
                self.fault(place, f"context of one object: {answer['@odata.context']!r}")
            return self.check_object(kind, answer, place)
        if not isinstance(answer.get("value"), list):
            return self.fault(place, "no collection in `value`")
        links = [name for name in ("@odata.nextLink", "@odata.deltaLink") if name in answer]
        if len(links) > 1:
            self.fault(place, "both links")
        if "/delta" in place.split(" ->")[0] and not links:
            self.fault(place, "a delta page without a link")
        for name in links:
            if not answer[name].startswith(f"{self.origin}/v1.0/"):
                self.fault(place, f"{name} leads to {answer[name]!r}")
        for number, item in enumerate(answer["value"]):
            self.check_object(kind, item, f"{place} [{number}]")
        return None

    def check_error(self, body, headers, place):
        if not headers.get("content-type", "").startswith("application/json"):
            return self.fault(place, f"an error of type {headers.get('content-type')!r}")
        error = json.loads(body).get("error")
        if not isinstance(error, dict):
            return self.fault(place, "no error envelope")
        for member in ("code", "message"):
            if not isinstance(error.get(member), str) or not error[member]:
                self.fault(place, f"error.{member} is {error.get(member)!r}")
        inner = error.get("innerError", error.get("innererror", {}))
        for member in ("date", "request-id", "client-request-id"):
            if not isinstance(inner.get(member), str):
                self.fault(place, f"innerError has no {member}")
        if inner.get("request-id") != headers.get("request-id"):
            self.fault(place, "request-id of body and header differ")
        return None

    def check_batch(self, asked, answer, place):
        requests = {item["id"].lower(): item for item in asked["requests"]}
        answered = [item["id"].lower() for item in answer["responses"]]
        if sorted(answered) != sorted(requests):
            return self.fault(place, f"parts {answered} for {sorted(requests)}")
        for part in answer["responses"]:
            request = requests[part["id"].lower()]
            path = urllib.parse.unquote("/" + request["url"].split("?", 1)[0].lstrip("/"))
            headers = {name.lower(): value for name, value in (part.get("headers") or {}).items()}
            inner = f"{place} part {request['method']} {path} -> {part['status']}"
            body = part.get("body")
            if part["status"] == 204:
                if body is not None:
                    self.fault(inner, "204 with a body")
            elif isinstance(body, str):
                # What is no JSON comes as text; mostly base64.
                if not any(re.fullmatch(pattern, path) for pattern in COUNTS):
                    self.fault(inner, "text for a body")
            else:
                self.check_answer(
                    request["method"], path, part["status"], headers, json.dumps(body).encode(), inner
                )
        return None

    def property(self, kind, name):
        while kind:
            declared = self.types[kind]
            if name in declared["properties"]:
                return declared["properties"][name]
            kind = declared.get("base")
        return None

    def check_object(self, kind, value, place):
        if not isinstance(value, dict):
            return self.fault(place, f"{value!r} is no {kind}")
        named = value.get("@odata.type", "").removeprefix("#microsoft.graph.")
        kind = named if named in self.types else kind
        for name, member in value.items():
            if "@" in name:
                continue
            declared = self.property(kind, name)
            if declared is None:
                self.fault(place, f"{kind} has no {name}")
            else:
                self.check(declared["type"], declared.get("nullable", True), member, f"{place}.{name}")
        return None

    def check(self, kind, is_nullable, value, place):
        if value is None:
            if not is_nullable:
                self.fault(place, f"null for {kind}")
            return None
        if inner := re.fullmatch(r"Collection\((.*)\)", kind):
            if not isinstance(value, list):
                return self.fault(place, f"{value!r} is no collection")
            for number, item in enumerate(value):
                self.check(inner.group(1), False, item, f"{place}[{number}]")
            return None
        name = kind.removeprefix("graph.")
        if name in self.enums:
            if value not in self.enums[name]:
                self.fault(place, f"{value!r} is no {name}")
            return None
        if name in self.types:
            return self.check_object(name, value, place)
        if not fits(kind, value):
            self.fault(place, f"{value!r} is no {kind}")
        return None


def fits(kind, value):
    """Whether a JSON value is of a primitive OData type. Types that the schema file leaves out hold nothing to check."""
    match kind:
        case "Edm.String":
            return isinstance(value, str)
        case "Edm.Boolean":
            return isinstance(value, bool)
        case "Edm.Int32" | "Edm.Int64" | "Edm.Int16":
            return isinstance(value, int) and not isinstance(value, bool)
        case "Edm.Guid":
            return isinstance(value, str) and re.fullmatch(GUID, value) is not None
        case "Edm.DateTimeOffset":
            pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z"
            return isinstance(value, str) and re.fullmatch(pattern, value) is not None
    return True
