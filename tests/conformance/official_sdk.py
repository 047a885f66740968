"""Microsoft's own Python SDK against the simulated tenant: sign-in by azure-identity, Graph by msgraph-sdk.

usage: official_sdk.py GRAPH_ORIGIN TENANT_ID EXCHANGES_FILE

Judges only what the SDK's typed objects and exceptions say. `run.py` starts the tenant, the proxy and this.
"""

import asyncio
import datetime
import logging
import sys
import time
import uuid

from azure.core.exceptions import ClientAuthenticationError
from azure.identity.aio import ClientSecretCredential
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import (
    AzureIdentityAuthenticationProvider,
)
from msgraph import GraphServiceClient
from msgraph.generated.models.assigned_license import AssignedLicense
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.reference_create import ReferenceCreate
from msgraph.generated.models.user import User
from msgraph.generated.models.user_purpose import UserPurpose
from msgraph.generated.users.item.assign_license.assign_license_post_request_body import (
    AssignLicensePostRequestBody,
)
from msgraph.graph_request_adapter import GraphRequestAdapter
from msgraph_core.requests.batch_request_content import BatchRequestContent
from msgraph_core.requests.batch_request_item import BatchRequestItem
from msgraph_core.tasks.page_iterator import PageIterator

USERS = 60


def query(builder, **options):
    """Query options of a request builder, with the class that the generator made for it."""
    kind = next(getattr(builder, name) for name in dir(builder) if name.endswith("GetQueryParameters"))
    return RequestConfiguration(query_parameters=kind(**options))


def credential(origin, tenant, secret="simulated"):
    return ClientSecretCredential(
        tenant, str(uuid.uuid4()), secret, authority=origin, disable_instance_discovery=True
    )


def client_of(origin, credentials):
    provider = AzureIdentityAuthenticationProvider(
        credentials, scopes=["https://graph.microsoft.com/.default"], allowed_hosts=["localhost"]
    )
    adapter = GraphRequestAdapter(provider)
    adapter.base_url = f"{origin}/v1.0"
    return GraphServiceClient(request_adapter=adapter)


async def error_of(call):
    """The ODataError of a call that must fail: (status, code, message)."""
    try:
        await call
    except ODataError as error:
        assert error.error is not None, "the SDK found no error envelope"
        assert error.error.inner_error.request_id, "no request-id in the inner error"
        return error.response_status_code, error.error.code, error.error.message
    raise AssertionError("expected an error")


async def sign_in(origin, tenant):
    async with credential(origin, tenant) as good:
        token = await good.get_token("https://graph.microsoft.com/.default")
        assert token.token.count(".") == 2 and token.expires_on > time.time() + 1800
    for wrong, number in [(credential(origin, str(uuid.uuid4())), "AADSTS90002")]:
        async with wrong:
            try:
                await wrong.get_token("https://graph.microsoft.com/.default")
            except (ClientAuthenticationError, ValueError) as error:
                assert number in str(error) or "tenant" in str(error).lower(), error
            else:
                raise AssertionError("signed in to a tenant that is not there")


async def list_users(client):
    """All users through the page iterator, 25 a page."""
    select = ["id", "userPrincipalName", "mail", "accountEnabled", "createdDateTime", "assignedLicenses",
              "assignedPlans", "licenseAssignmentStates", "usageLocation"]
    first = await client.users.get(query(client.users, select=select, top=25))
    assert len(first.value) == 25 and first.odata_next_link, "a first page of 25 and a link"
    users = []
    await PageIterator(first, client.request_adapter).iterate(lambda user: users.append(user) or True)
    assert len(users) == len({user.id for user in users}) == USERS, f"{len(users)} users"
    licensed = [user for user in users if user.assigned_licenses]
    assert licensed, "somebody holds a licence"
    for user in users:
        assert uuid.UUID(user.id) and "@" in user.user_principal_name
        assert isinstance(user.created_date_time, datetime.datetime)
        assert isinstance(user.account_enabled, bool)
        assert user.display_name is None, "not selected, so not there"
    for user in licensed:
        assert all(isinstance(licence.sku_id, uuid.UUID) for licence in user.assigned_licenses)
        assert any(plan.service.lower() == "exchange" for plan in user.assigned_plans)
        assert {state.sku_id for state in user.license_assignment_states} >= {
            licence.sku_id for licence in user.assigned_licenses
        }
    return users


async def count_and_default_set(client, user_id):
    from kiota_abstractions.headers_collection import HeadersCollection

    eventual = HeadersCollection()
    eventual.add("ConsistencyLevel", "eventual")
    counted = await client.users.count.get(RequestConfiguration(headers=eventual))
    assert counted == USERS, counted
    code = await error_of(client.users.count.get())
    assert code[:2] == (400, "Request_BadRequest"), code
    options = query(client.users, count=True, top=5, filter="accountEnabled eq true")
    options.headers = eventual
    page = await client.users.get(options)
    assert page.odata_count >= len(page.value) == 5
    user = await client.users.by_user_id(user_id).get()
    assert user.display_name and user.user_principal_name and user.business_phones == []
    assert user.assigned_licenses is None, "not in the default set"
    by_name = await client.users.by_user_id(user.user_principal_name).get()
    assert by_name.id == user_id
    return user


async def delta_round(client):
    """Every change until a delta link; returns (ids seen, ids removed, link)."""
    options = query(client.users.delta, select=["id", "userPrincipalName", "deletedDateTime", "assignedLicenses"])
    page = await client.users.delta.get(options)
    return await rest_of_round(client, page)


async def rest_of_round(client, page):
    seen, removed = set(), {}
    while True:
        for user in page.value:
            mark = user.additional_data.get("@removed")
            if mark:
                removed[user.id] = mark["reason"]
            else:
                seen.add(user.id)
        if page.odata_delta_link:
            assert not page.odata_next_link, "both links"
            return seen, removed, page.odata_delta_link
        assert page.odata_next_link, "neither link"
        page = await client.users.delta.with_url(page.odata_next_link).get()


async def later_round(client, link):
    return await rest_of_round(client, await client.users.delta.with_url(link).get())


async def delete_and_restore(client, user, link):
    """Delete, the recycle bin, the delta, restore, the delta again. Returns the link of the last round."""
    user_id, name, held = user.id, user.user_principal_name, {one.sku_id for one in user.assigned_licenses}
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=5)
    assert await client.users.by_user_id(user_id).delete() is None
    assert (await error_of(client.users.by_user_id(user_id).get()))[:2] == (404, "Request_ResourceNotFound")

    bin_of_users = client.directory.deleted_items.graph_user
    listed = await bin_of_users.get(
        query(bin_of_users, select=["id", "userPrincipalName", "mail", "deletedDateTime"], top=999)
    )
    found = next(one for one in listed.value if one.id == user_id)
    assert found.user_principal_name == user_id.replace("-", "") + name, found.user_principal_name
    assert found.deleted_date_time >= before
    item = await client.directory.deleted_items.by_directory_object_id(user_id).get()
    assert isinstance(item, User), f"the SDK made a {type(item).__name__} of the deleted user"

    _, removed, link = await later_round(client, link)
    assert removed.get(user_id) == "changed", removed

    restored = await client.directory.deleted_items.by_directory_object_id(user_id).restore.post()
    assert isinstance(restored, User) and restored.id == user_id and restored.user_principal_name == name
    again = await error_of(client.directory.deleted_items.by_directory_object_id(user_id).restore.post())
    assert again[:2] == (404, "Request_ResourceNotFound"), again
    seen, removed, link = await later_round(client, link)
    assert user_id in seen and user_id not in removed

    one = client.users.by_user_id(user_id)
    live = await one.get(query(one, select=["id", "assignedLicenses", "deletedDateTime"]))
    assert live.deleted_date_time is None and {item.sku_id for item in live.assigned_licenses} == held
    return link


async def licences(client, users):
    """Seats, an assignment, and each refusal that the SDK's users meet."""
    skus = (await client.subscribed_skus.get()).value
    by_name = {sku.sku_part_number: sku for sku in skus}
    e3 = by_name["SPE_E3"]
    assert isinstance(e3.sku_id, uuid.UUID) and e3.capability_status == "Enabled" and e3.applies_to == "User"
    assert e3.prepaid_units.enabled > e3.consumed_units > 0
    assert any(plan.service_plan_name.startswith("EXCHANGE_S_") for plan in e3.service_plans)
    assert (await client.subscribed_skus.by_subscribed_sku_id(e3.id).get()).sku_id == e3.sku_id

    target = next(user for user in users if not user.assigned_licenses and user.usage_location)
    body = licence_body(e3.sku_id)
    answer = await client.users.by_user_id(target.id).assign_license.post(body)
    assert isinstance(answer, User) and answer.id == target.id
    one = client.users.by_user_id(target.id)
    now = await one.get(query(one, select=["assignedLicenses", "licenseAssignmentStates"]))
    assert [licence.sku_id for licence in now.assigned_licenses] == [e3.sku_id]
    state = now.license_assignment_states[0]
    assert (state.state, state.assigned_by_group) == ("Active", None)
    details = (await client.users.by_user_id(target.id).license_details.get()).value
    assert [detail.sku_part_number for detail in details] == ["SPE_E3"]
    after = await client.subscribed_skus.by_subscribed_sku_id(e3.id).get()
    assert after.consumed_units == e3.consumed_units + 1

    unknown = uuid.uuid4()
    refused = await error_of(client.users.by_user_id(target.id).assign_license.post(licence_body(unknown)))
    assert refused[:2] == (400, "Request_BadRequest"), refused
    assert f"License {unknown} does not correspond to a valid company License" in refused[2], refused
    absent = await error_of(client.users.by_user_id(str(uuid.uuid4())).assign_license.post(body))
    assert absent[:2] == (404, "Request_ResourceNotFound"), absent
    await no_seat_left(client, users, by_name)
    removal = AssignLicensePostRequestBody(add_licenses=[], remove_licenses=[e3.sku_id])
    await client.users.by_user_id(target.id).assign_license.post(removal)
    twice = await error_of(client.users.by_user_id(target.id).assign_license.post(removal))
    assert twice == (400, "Request_BadRequest", "User does not have a corresponding license."), twice
    return e3


def licence_body(sku):
    return AssignLicensePostRequestBody(
        add_licenses=[AssignedLicense(sku_id=sku, disabled_plans=[])], remove_licenses=[]
    )


async def no_seat_left(client, users, by_name):
    """Gives out the seats of the product that has fewest, until Graph says that none is left."""
    sku = min(by_name.values(), key=lambda sku: sku.prepaid_units.enabled - sku.consumed_units)
    free = sku.prepaid_units.enabled - sku.consumed_units
    without = [user for user in users if user.usage_location and not user.assigned_licenses]
    without += [
        user
        for user in users
        if user.usage_location and user.assigned_licenses
        and sku.sku_id not in {licence.sku_id for licence in user.assigned_licenses}
    ]
    refusals = []
    for user in without[: free + 12]:
        try:
            await client.users.by_user_id(user.id).assign_license.post(licence_body(sku.sku_id))
        except ODataError as error:
            assert error.response_status_code == 400, error
            refusals.append(error.error.message)
            if "available licenses" in refusals[-1]:
                break
    expected = f"Subscription with SKU {sku.sku_id} does not have any available licenses."
    assert expected in refusals, refusals


async def group_members(client, users):
    groups = {
        state.assigned_by_group for user in users for state in user.license_assignment_states or []
    } - {None}
    assert groups, "somebody holds a licence through a group"
    group_id = groups.pop()
    group_builder = client.groups.by_group_id(group_id)
    group = await group_builder.get(query(group_builder, select=["id", "displayName", "assignedLicenses"]))
    assert group.id == group_id and group.assigned_licenses[0].sku_id
    expected = {
        user.id
        for user in users
        if group_id in {state.assigned_by_group for state in user.license_assignment_states or []}
    }
    page = await group_builder.members.get()
    members = []
    await PageIterator(page, client.request_adapter).iterate(lambda one: members.append(one) or True)
    assert all(isinstance(member, User) for member in members), "the SDK knows the members' type"
    assert {member.id for member in members} == expected
    cast = await group_builder.transitive_members.graph_user.get()
    assert {member.id for member in cast.value} == expected

    stranger = next(user.id for user in users if user.id not in expected)
    reference = ReferenceCreate(odata_id=f"{client.request_adapter.base_url}/directoryObjects/{stranger}")
    await group_builder.members.ref.post(reference)
    twice = await error_of(group_builder.members.ref.post(reference))
    assert twice[:2] == (400, "Request_BadRequest") and "already exist" in twice[2], twice
    assert stranger in {member.id for member in (await group_builder.members.get()).value}
    await group_builder.members.by_directory_object_id(stranger).ref.delete()
    assert stranger not in {member.id for member in (await group_builder.members.get()).value}
    inherited = AssignLicensePostRequestBody(
        add_licenses=[], remove_licenses=[group.assigned_licenses[0].sku_id]
    )
    refused = await error_of(client.users.by_user_id(next(iter(expected))).assign_license.post(inherited))
    assert refused[0] == 400 and "inherited from a group membership" in refused[2], refused
    return group_id


async def mailboxes(client, users):
    licensed = next(user for user in users if user.assigned_licenses)
    settings = await client.users.by_user_id(licensed.id).mailbox_settings.get()
    assert settings.user_purpose == UserPurpose.User, settings.user_purpose
    assert settings.time_zone
    exchange = await client.users.by_user_id(licensed.id).settings.exchange.get()
    assert exchange.primary_mailbox_id.startswith("MBX:") and "@" in exchange.primary_mailbox_id
    # `mailboxSettings` is no property of a collection.
    refused = await error_of(client.users.get(query(client.users, select=["mailboxSettings"])))
    assert refused[0] == 501, refused


async def directory_objects(client, tenant):
    organization = (await client.organization.get()).value
    assert [one.id for one in organization] == [tenant]
    assert any(domain.is_default for domain in organization[0].verified_domains)
    subscriptions = (await client.directory.subscriptions.get()).value
    assert subscriptions and all(one.total_licenses > 0 and one.next_lifecycle_date_time for one in subscriptions)
    one = await client.directory.subscriptions.by_company_subscription_id(subscriptions[0].id).get()
    assert one.sku_id == subscriptions[0].sku_id
    audits = client.audit_logs.directory_audits
    page = await audits.get(query(audits, filter="activityDisplayName eq 'Restore user'"))
    # The log lags by minutes, so that what was done here is not in it yet.
    assert page.value == [], page.value


async def refusals(client, user_id):
    """What the application was not granted: users may not be changed, created or purged by it."""
    changed = await error_of(client.users.by_user_id(user_id).patch(User(department="x")))
    assert changed[:2] == (403, "Authorization_RequestDenied"), changed
    purged = await error_of(client.directory.deleted_items.by_directory_object_id(user_id).delete())
    assert purged[0] == 403, purged
    unknown = await error_of(client.users.get(query(client.users, filter="nonsense eq 1")))
    assert unknown[:2] == (400, "Request_UnsupportedQuery"), unknown


async def batch(client, users):
    """Reads in one request. Only the statuses: this SDK sends dependencies as `depends_on`, which is no member of a request,
    and loses every body that is JSON and not base64. `sweep.py` and the JavaScript client look at those.
    """
    keys = {"good": users[0].id, "absent": str(uuid.uuid4()), "other": users[1].id}
    content = BatchRequestContent()
    for name, key in keys.items():
        item = BatchRequestItem(client.users.by_user_id(key).to_get_request_information(), id=name)
        item.set_url(item.url.split("/v1.0", 1)[1])
        content.add_request(name, item)
    answer = await client.batch.post(content)
    statuses = answer.get_response_status_codes()
    assert statuses == {"good": 200, "absent": 404, "other": 200}, statuses


async def main(origin, tenant):
    await sign_in(origin, tenant)
    async with credential(origin, tenant) as credentials:
        client = client_of(origin, credentials)
        _, _, link = await delta_round(client)
        users = await list_users(client)
        licensed = next(user for user in users if user.assigned_licenses)
        await count_and_default_set(client, licensed.id)
        await mailboxes(client, users)
        await delete_and_restore(client, licensed, link)
        group_id = await group_members(client, users)
        await licences(client, users)
        await batch(client, users)
        await directory_objects(client, tenant)
        await refusals(client, licensed.id)
        return group_id


if __name__ == "__main__":
    # The refusals of sign-in are wanted here.
    logging.getLogger("azure.identity").setLevel(logging.CRITICAL)
    asyncio.run(main(sys.argv[1], sys.argv[2]))
    print("official Python SDK: every step as expected")
