"""The simulated tenant's own https, met by msal and requests as they come: no proxy, no patched client.

usage: plain_msal.py ORIGIN TENANT_ID

msal asks Microsoft itself about authorities that it does not know; that question is the only thing switched off.
"""

import datetime
import sys
import uuid

import msal
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

SCOPES = ["https://graph.microsoft.com/.default"]
CLIENT = str(uuid.uuid4())


def sign_in(secret="simulated", **authority):
    authority.setdefault("instance_discovery", None if "oidc_authority" in authority else False)
    application = msal.ConfidentialClientApplication(CLIENT, client_credential=secret, **authority)
    answer = application.acquire_token_for_client(SCOPES)
    if "access_token" in answer:
        again = application.acquire_token_for_client(SCOPES)
        assert again["access_token"] == answer["access_token"], "msal's own cache"
    return answer


def signing_in(origin, tenant):
    for authority in (
        {"authority": f"{origin}/{tenant}"},
        {"authority": f"{origin}/contoso.com"},
        {"oidc_authority": f"{origin}/{tenant}/v2.0"},
    ):
        answer = sign_in(**authority)
        assert "access_token" in answer, (authority, answer)
    for credential in certificates():
        answer = sign_in(credential, authority=f"{origin}/{tenant}")
        assert "access_token" in answer, answer
    refused = sign_in("", authority=f"{origin}/{tenant}")
    assert refused["error"] == "invalid_client" and refused["error_codes"] == [7000218], refused
    try:
        absent = sign_in(authority=f"{origin}/{uuid.uuid4()}")
    except ValueError:
        absent = {"error_codes": [90002]}
    assert absent["error_codes"] == [90002], absent
    return answer["access_token"]


def certificates():
    """Credentials of msal with a certificate made now: by its old thumbprint, and by its new one."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an application")])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now)
    certificate = builder.not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256())
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    private = {"private_key": key.private_bytes(serialization.Encoding.PEM, *plain).decode()}
    yield {**private, "thumbprint": certificate.fingerprint(hashes.SHA1()).hex()}
    yield {**private, "public_certificate": certificate.public_bytes(serialization.Encoding.PEM).decode()}


def session(token):
    """As patient as a well-behaved client: waits as it is told, and only where repeating is harmless."""
    http = requests.Session()
    http.mount("https://", HTTPAdapter(max_retries=Retry(total=8, status_forcelist=[429, 503, 504], backoff_factor=0.2)))
    http.headers["Authorization"] = f"Bearer {token}"
    return http


def walk(http, link, **more):
    """All objects, and the delta link at the end, if there is one."""
    objects = []
    while True:
        answer = http.get(link, **more)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        objects += page["value"]
        if "@odata.nextLink" not in page:
            return objects, page.get("@odata.deltaLink")
        link = page["@odata.nextLink"]


def main(origin, tenant):
    graph = f"{origin}/v1.0"
    http = session(signing_in(origin, tenant))
    everybody, _ = walk(http, f"{graph}/Users?$select=id,userPrincipalName,licenseAssignmentStates&$top=7")
    count = http.get(f"{graph}/users/$count", headers={"ConsistencyLevel": "eventual"})
    assert int(count.text) == len(everybody), (count.text, len(everybody))
    select = "id,userPrincipalName,deletedDateTime"
    prefer = {"Prefer": "odata.maxpagesize=9"}
    first, link = walk(http, f"{graph}/users/delta?$select={select}", headers=prefer)
    assert {user["id"] for user in first} >= {user["id"] for user in everybody}

    # A licence of a group cannot be taken from one member; and administrators, who come first here, are not restored.
    held = [(user["id"], state) for user in everybody for state in user["licenseAssignmentStates"]]
    key, sku = next((user, state["skuId"]) for user, state in held[::-1] if state["assignedByGroup"] is None)
    assert http.delete(f"{graph}/users/{key}").status_code == 204
    assert http.get(f"{graph}/users/{key}").status_code == 404
    changes, link = walk(http, link)
    assert {"id": key, "@removed": {"reason": "changed"}} in changes, changes
    deleted, _ = walk(http, f"{graph}/directory/deletedItems/microsoft.graph.user?$select={select}")
    assert key in {user["id"] for user in deleted}, deleted
    renamed = {"newUserPrincipalName": f"back-{key[:8]}@contoso.com"}
    restored = http.post(f"{graph}/directory/deletedItems/{key}/restore", json=renamed)
    assert restored.status_code == 200, restored.text
    changes, _ = walk(http, link)
    back = next(change for change in changes if change["id"] == key)
    assert back["deletedDateTime"] is None and back["userPrincipalName"].startswith("back-"), back

    bare = {"addLicenses": [], "removeLicenses": [sku]}
    assert http.post(f"{graph}/users('{key}')/assignLicense", json=bare).status_code == 200
    wanted = {"addLicenses": [{"skuId": sku, "disabledPlans": []}], "removeLicenses": []}
    assert http.post(f"{graph}/users/{key}/assignLicense", json=wanted).status_code == 200
    held = http.get(f"{graph}/users/{key}?$select=assignedLicenses").json()["assignedLicenses"]
    assert sku in {licence["skuId"] for licence in held}, held

    assert http.get(f"{graph}/users?$skip=5").status_code == 400
    assert http.get(f"{graph}/me").status_code == 400
    assert http.put(f"{graph}/users").json()["error"]["code"] == "Request_BadRequest"
    assert http.get(f"{origin}/beta/users").json()["error"]["code"] == "BadRequest"


if __name__ == "__main__":
    main(*sys.argv[1:])
