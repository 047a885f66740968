"""Plain HTTP against every endpoint of the simulated tenant, in the spellings that clients use, good calls and bad ones.

usage: sweep.py GRAPH_ORIGIN TENANT_ID

Checks statuses and error codes; the bodies are judged from the proxy's record, see `shapes.py`.
"""

import os
import ssl
import sys
import uuid

import httpx

EVERYTHING = (
    "id,userPrincipalName,displayName,givenName,surname,mail,mailNickname,proxyAddresses,department,companyName,country,"
    "jobTitle,employeeType,userType,usageLocation,accountEnabled,onPremisesSyncEnabled,onPremisesImmutableId,"
    "createdDateTime,deletedDateTime,assignedLicenses,assignedPlans,provisionedPlans,licenseAssignmentStates,"
    "serviceProvisioningErrors,city,businessPhones,imAddresses,otherMails,state"
)


class Caller:
    """Sends, and compares status and code with what is expected."""

    def __init__(self, origin, tenant):
        context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
        self.http = httpx.Client(base_url=f"{origin}/v1.0", verify=context, timeout=120)
        answer = self.http.post(f"{origin}/{tenant}/oauth2/v2.0/token", data=grant())
        assert answer.status_code == 200, answer.text
        self.http.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        self.faults = []

    def __call__(self, method, path, status, code=None, **more):
        answer = self.http.request(method, path, **more)
        seen = None
        if answer.status_code >= 400 and answer.content:
            seen = answer.json().get("error", {}).get("code")
        if answer.status_code != status or (code is not None and seen != code):
            self.faults.append(f"{method} {path}: {answer.status_code} {seen}, expected {status} {code}")
        return answer

    def walk(self, path):
        """All objects of a listing, following its links."""
        objects, next_link = [], path
        while next_link:
            page = self("GET", next_link, 200).json()
            objects += page.get("value", [])
            next_link = page.get("@odata.nextLink")
        return objects


def grant(**changes):
    form = {
        "grant_type": "client_credentials",
        "client_id": str(uuid.uuid4()),
        "client_secret": "simulated",
        "scope": "https://graph.microsoft.com/.default",
    }
    return {**form, **changes}


EVENTUAL = {"ConsistencyLevel": "eventual"}
BAD_REQUEST, NOT_FOUND, DENIED = "Request_BadRequest", "Request_ResourceNotFound", "Authorization_RequestDenied"


def sign_in(call, origin, tenant):
    token = f"{origin}/{tenant}/oauth2/v2.0/token"
    refusals = [
        (f"{origin}/{uuid.uuid4()}/oauth2/v2.0/token", grant(), "invalid_request", 90002),
        (token, grant(client_secret=""), "invalid_client", 7000218),
        (token, grant(scope="User.Read"), "invalid_scope", 1002012),
        (token, grant(grant_type="password"), "unsupported_grant_type", 70003),
        (token, grant(client_id=""), "invalid_request", 900144),
    ]
    for url, form, error, number in refusals:
        answer = call.http.post(url, data=form)
        body = answer.json()
        good = answer.status_code in (400, 401) and body["error"] == error and body["error_codes"] == [number]
        if not (good and body["error_description"].startswith(f"AADSTS{number}: ")):
            call.faults.append(f"sign-in: {answer.status_code} {body}, expected {error}")
    discovery = call.http.get(f"{origin}/{tenant}/v2.0/.well-known/openid-configuration").json()
    if discovery["token_endpoint"] != token:
        call.faults.append(f"discovery leads to {discovery['token_endpoint']}")
    for header in (None, "", "Bearer", "Bearer nonsense", "Basic eDp5"):
        headers = {} if header is None else {"authorization": header}
        answer = httpx.get(f"{call.http.base_url}users", headers=headers, verify=os.environ["SSL_CERT_FILE"])
        if answer.status_code != 401 or answer.json()["error"]["code"] != "InvalidAuthenticationToken":
            call.faults.append(f"authorization {header!r}: {answer.status_code}")


def users(call):
    everybody = call.walk(f"/users?$select={EVERYTHING}&$top=7")
    # Another client may have deleted and restored the first ones: their mailboxes come back later.
    one = [user for user in everybody if user["assignedLicenses"]][5]
    key = one["id"]
    call("GET", f"/users/{key}", 200)
    call("GET", f"/users/{one['userPrincipalName']}", 200)
    call("GET", f"/users/{key}?$select={EVERYTHING}", 200)
    call("GET", f"/users/{key}?$select=id,mailboxSettings", 200)
    call("GET", f"/users/{uuid.uuid4()}", 404, NOT_FOUND)
    call("GET", "/users?$filter=startswith(userPrincipalName,'a')&$select=id", 200)
    call("GET", "/users?$select=mailboxSettings", 501)
    call("GET", "/users?$top=0", 400)
    call("GET", "/users?$skiptoken=nonsense", 400)
    call("GET", "/users?$filter=nonsense eq 1", 400, "Request_UnsupportedQuery")
    call("GET", "/users/$count", 400, BAD_REQUEST)
    call("GET", "/users/$count", 200, headers=EVENTUAL)
    call("GET", "/users?$count=true&$filter=userType ne 'Guest'&$select=id", 200, headers=EVENTUAL)
    call("POST", "/users", 403, DENIED, json={"displayName": "x"})
    call("PATCH", f"/users/{key}", 403, DENIED, json={"usageLocation": "NO"})
    call("POST", f"/users/{key}/reprocessLicenseAssignment", 403, DENIED)
    call("POST", f"/users/{key}/restore", 404, NOT_FOUND)
    call("GET", f"/users/{key}/licenseDetails", 200)
    call("GET", f"/users/{key}/mailboxSettings", 200)
    call("GET", f"/users/{key}/mailboxSettings/userPurpose", 200)
    call("GET", f"/users/{key}/settings/exchange", 200)
    without = next((user for user in everybody if user["userType"] == "Guest"), None)
    if without:
        call("GET", f"/users/{without['id']}/mailboxSettings", 404, "MailboxNotEnabledForRESTAPI")
    call("POST", f"/users/{key}/checkMemberGroups", 200, json={"groupIds": [str(uuid.uuid4())]})
    call("POST", f"/users/{key}/checkMemberGroups", 400, json={"groupIds": [str(uuid.uuid4())] * 21})
    call("GET", f"/users/{key}/nonsense", 400)
    call("DELETE", "/users", 405)
    return everybody


def delta(call):
    for path in ("/users/delta", "/users/microsoft.graph.delta", "/users/delta()"):
        call("GET", f"{path}?$select={EVERYTHING}", 200)
    call("GET", "/users/delta?$top=5", 400)
    call("GET", "/users/delta?$deltatoken=nonsense", 400)
    latest = call("GET", "/users/delta?$deltatoken=latest", 200).json()
    call("GET", latest["@odata.deltaLink"], 200)
    return latest["@odata.deltaLink"]


def recycle_bin(call, everybody, link):
    victim = everybody[-1]["id"]
    call("DELETE", f"/users/{victim}", 204)
    call("DELETE", f"/users/{victim}", 404, NOT_FOUND)
    call("GET", link, 200)
    for cast in ("microsoft.graph.user", "graph.user"):
        call("GET", f"/directory/deletedItems/{cast}?$select={EVERYTHING}&$top=999", 200)
    call("GET", "/directory/deletedItems", 400)
    call("GET", f"/directory/deletedItems/{victim}", 200)
    call("GET", f"/directory/deletedItems/{uuid.uuid4()}", 404, NOT_FOUND)
    call("DELETE", f"/directory/deletedItems/{victim}", 403, DENIED)
    body = {"autoReconcileProxyConflict": True, "newUserPrincipalName": f"new-{victim[:8]}@contoso.com"}
    call("POST", f"/directory/deletedItems/{victim}/restore", 200, json=body)
    call("POST", f"/directory/deletedItems/{victim}/restore", 404, NOT_FOUND)
    call("GET", link, 200)
    return victim


def licences(call, everybody):
    skus = call("GET", "/subscribedSkus", 200).json()["value"]
    call("GET", f"/subscribedSkus/{skus[0]['id']}", 200)
    call("GET", "/subscribedSkus/nonsense", 404)
    subscriptions = call("GET", "/directory/subscriptions", 200).json()["value"]
    call("GET", f"/directory/subscriptions/{subscriptions[0]['id']}", 200)
    call("GET", f"/directory/subscriptions/{uuid.uuid4()}", 404)
    e3 = next(sku for sku in skus if sku["skuPartNumber"] == "SPE_E3")
    user = next(one["id"] for one in everybody if not one["assignedLicenses"] and one["usageLocation"])
    add = {"addLicenses": [{"skuId": e3["skuId"], "disabledPlans": []}], "removeLicenses": []}
    call("POST", f"/users/{user}/assignLicense", 200, json=add)
    call("POST", f"/users/{user}/microsoft.graph.assignLicense", 200, json=add)
    call("POST", f"/users/{user}/assignLicense", 400, BAD_REQUEST, json={"addLicenses": []})
    call("POST", f"/users/{user}/assignLicense", 400, content=b"{", headers={"content-type": "application/json"})
    call("GET", f"/users/{user}/assignLicense", 405)
    call("GET", f"/users/{user}/licenseDetails", 200)
    return e3


def groups(call, everybody):
    states = [state for user in everybody for state in user["licenseAssignmentStates"]]
    group = next(state["assignedByGroup"] for state in states if state["assignedByGroup"])
    members = {
        user["id"]
        for user in everybody
        if group in {state["assignedByGroup"] for state in user["licenseAssignmentStates"]}
    }
    stranger = next(user["id"] for user in everybody if user["id"] not in members)
    call("GET", f"/groups/{group}", 200)
    call("GET", "/groups", 200)
    call("GET", "/groups/$count", 200, headers=EVENTUAL)
    call("GET", "/groups?$filter=startswith(displayName,'L')&$select=id,displayName&$top=1", 200)
    assert {found["id"] for found in call.walk("/groups?$select=id&$top=1")} >= {group}
    properties = "id,assignedLicenses,licenseProcessingState,hasMembersWithLicenseErrors,onPremisesSyncEnabled,groupTypes"
    call("GET", f"/groups/{group}?$select={properties},membershipRule", 200)
    call("GET", f"/groups/{uuid.uuid4()}", 404, NOT_FOUND)
    for collection in ("members", "transitiveMembers"):
        for cast in ("", "/microsoft.graph.user", "/graph.user"):
            call("GET", f"/groups/{group}/{collection}{cast}?$select=id,displayName&$top=3", 200)
            call("GET", f"/groups/{group}/{collection}{cast}/$count", 200, headers=EVENTUAL)
    walked = call.walk(f"/groups/{group}/members?$top=2")
    if len(walked) != len({member["id"] for member in walked}) or len(walked) < len(members):
        call.faults.append(f"{len(walked)} members walked, {len(members)} expected")
    reference = {"@odata.id": f"{call.http.base_url}directoryObjects/{stranger}"}
    call("POST", f"/groups/{group}/members/$ref", 204, json=reference)
    call("POST", f"/groups/{group}/members/$ref", 400, BAD_REQUEST, json=reference)
    absent = {"@odata.id": f"{call.http.base_url}directoryObjects/{uuid.uuid4()}"}
    call("POST", f"/groups/{group}/members/$ref", 404, NOT_FOUND, json=absent)
    call("DELETE", f"/groups/{group}/members/{stranger}/$ref", 204)
    call("DELETE", f"/groups/{group}/members/{stranger}/$ref", 404, NOT_FOUND)
    sku = call("GET", f"/groups/{group}?$select=assignedLicenses", 200).json()["assignedLicenses"][0]
    change = {"addLicenses": [sku], "removeLicenses": []}
    call("POST", f"/groups/{group}/assignLicense", 202, json=change)


def batches(call, everybody):
    def part(number, url, **more):
        return {"id": str(number), "method": "GET", "url": url, **more}

    key = everybody[0]["id"]
    parts = [
        part(1, f"/users/{key}"),
        part(2, f"/users/{uuid.uuid4()}"),
        part(3, "/users/$count", headers=EVENTUAL),
        part(4, f"/users/{key}/mailboxSettings", dependsOn=["2"]),
        part(5, "users?$top=3&$select=id"),
    ]
    answer = call("POST", "/$batch", 200, json={"requests": parts}).json()
    statuses = {one["id"]: one["status"] for one in answer["responses"]}
    if statuses != {"1": 200, "2": 404, "3": 200, "4": 424, "5": 200}:
        call.faults.append(f"batch: {statuses}")
    call("POST", "/$batch", 400, json={"requests": [part(n, "/users?$top=1") for n in range(21)]})
    call("POST", "/$batch", 400, json={"requests": [part("a", "/users"), part("A", "/users")]})
    call("POST", "/$batch", 400, content=b"[]", headers={"content-type": "application/json"})


def others(call):
    call("GET", "/organization", 200)
    call("GET", "/auditLogs/directoryAudits?$top=3", 200)
    call.walk("/auditLogs/directoryAudits?$top=20")
    call("GET", "/nonsense", 400)
    call("GET", "/", 200)
    call("GET", "/me", 400, "BadRequest")
    call("GET", "/users?$skip=5", 400, BAD_REQUEST)
    call("GET", "/users?$filter=mail eq 'x' or startswith(displayName,'a')&$select=id", 200)
    call("GET", "/users?$orderby=displayName desc&$top=5", 200)


def main(origin, tenant):
    call = Caller(origin, tenant)
    sign_in(call, origin, tenant)
    everybody = users(call)
    recycle_bin(call, everybody, delta(call))
    licences(call, everybody)
    groups(call, everybody)
    batches(call, everybody)
    others(call)
    for fault in call.faults:
        print(f"  {fault}")
    sys.exit(1 if call.faults else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
