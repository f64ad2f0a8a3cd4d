import { roleValues } from "../api/schema";
import { api, ifMatch, take, type Page, type Schemas } from "../lib/client";
import { path } from "../lib/router.svelte";
import { session } from "../lib/session.svelte";
import { state } from "../lib/states";
import { why } from "../lib/why";
import { mono, tags, text, time, type Action, type Cell, type List } from "../kit/types";
import { m } from "../lib/texts";
import { given, words } from "./common";

type Token = Schemas["Token"];
type User = Schemas["User"];
type Organization = Schemas["Organization"];
type Role = Schemas["RoleDefinition"];
type Key = Schemas["SigningKeyEntry"];

const roleChoices = () => roleValues.map((value) => ({ value, label: value }));

const since = (at: number | null | undefined): boolean => at !== null && at !== undefined;

function tokenState(token: Token): Cell {
  if (since(token.revoked_at)) return { ...state("revoked"), why: why("access", "token-revoked") };
  if (token.expires_at < Date.now()) return { ...state("expired"), why: why("access", "token-expired") };
  return state("good");
}

export function tokens(tenant: string): List<Token> {
  const params = { path: { tenant } };
  return {
    title: m.tokens(),
    load: (after) => take(api.GET("/v1/tenants/{tenant}/tokens", { params: { ...params, query: given({ after }) } })),
    key: (token) => token.id,
    columns: [
      { label: m.name(), cell: (token) => text(token.name) },
      { label: m.state(), cell: tokenState },
      { label: m.role(), cell: (token) => mono(token.role) },
      {
        label: m.components(),
        wide: true,
        cell: (token) => (token.components ? tags(token.components) : text(m.all())),
      },
      { label: m.expires(), cell: (token) => time(token.expires_at) },
      { label: m.created(), wide: true, cell: (token) => time(token.created_at) },
      { label: m.id(), wide: true, cell: (token) => mono(token.id) },
    ],
    rowActions: (token): Action[] =>
      since(token.revoked_at)
        ? []
        : [
            {
              id: "revoke",
              label: m.revoke(),
              tone: "danger",
              confirm: m.revoke_confirm(),
              async run() {
                await take(
                  api.DELETE("/v1/tenants/{tenant}/tokens/{token}", { params: { path: { tenant, token: token.id } } }),
                );
              },
            },
          ],
    actions: [
      {
        id: "create-token",
        label: m.create_token(),
        tone: "primary",
        fields: [
          { name: "name", label: m.name(), kind: "text", required: true },
          {
            name: "role",
            label: m.role(),
            kind: "text",
            value: "viewer",
            required: true,
            hint: m.role_hint({ roles: roleValues.join(", ") }),
          },
          { name: "days", label: m.days(), kind: "number", value: "90", required: true },
          { name: "components", label: m.components(), kind: "text", hint: m.token_components_hint() },
        ],
        async run({ name = "", role = "", days, components = "" }) {
          const made = await take(
            api.POST("/v1/tenants/{tenant}/tokens", {
              params,
              body: {
                name,
                role,
                days: Number(days),
                ...(words(components).length > 0 ? { components: words(components) } : {}),
              },
            }),
          );
          return { secret: made.secret };
        },
      },
    ],
    filters: [{ name: "q", label: m.search(), local: true }],
    empty: m.tokens_empty(),
  };
}

function memberState(
  row: { deleted_at?: number | null; disabled_at?: number | null },
  kind: "user" | "organization",
): Cell {
  if (since(row.deleted_at)) return { ...state("deleted"), why: why("access", `${kind}-deleted`) };
  if (since(row.disabled_at)) return { ...state("disabled"), why: why("access", `${kind}-disabled`) };
  return state("good");
}

export function users(tenant: string): List<User> {
  const params = { path: { tenant } };
  return {
    title: m.users(),
    intro: m.users_intro(),
    load: (after, { organization }) =>
      take(api.GET("/v1/tenants/{tenant}/users", { params: { ...params, query: given({ after, organization }) } })),
    key: (user) => user.id,
    columns: [
      { label: m.name(), cell: (user) => text(user.name || user.id) },
      { label: m.email(), cell: (user) => text(user.email) },
      { label: m.state(), cell: (user) => memberState(user, "user") },
      { label: m.role(), cell: (user) => mono(user.role) },
      { label: m.organization(), wide: true, cell: (user) => mono(user.organization) },
      { label: m.created(), wide: true, cell: (user) => time(user.created_at) },
      { label: m.id(), wide: true, cell: (user) => mono(user.id) },
    ],
    rowActions: (user): Action[] =>
      since(user.deleted_at)
        ? []
        : [
            {
              id: "edit-user",
              label: m.edit(),
              fields: [
                { name: "name", label: m.name(), kind: "text", value: user.name },
                { name: "email", label: m.email(), kind: "text", value: user.email ?? "" },
                { name: "role", label: m.role(), kind: "text", value: user.role ?? "" },
                { name: "organization", label: m.organization(), kind: "text", value: user.organization ?? "" },
                { name: "disabled", label: m.disabled(), kind: "check", value: since(user.disabled_at) ? "true" : "" },
              ],
              async run({ name = "", email, role, organization, disabled }) {
                await take(
                  api.PUT("/v1/tenants/{tenant}/users/{user}", {
                    params: { path: { tenant, user: user.id } },
                    headers: ifMatch(user.revision),
                    body: {
                      name,
                      email: email || null,
                      role: role || null,
                      organization: organization || null,
                      disabled: disabled === "true",
                    },
                  }),
                );
              },
            },
            {
              id: "delete-user",
              label: m.remove(),
              tone: "danger",
              confirm: m.delete_confirm({ name: user.name || user.id }),
              async run() {
                await take(
                  api.DELETE("/v1/tenants/{tenant}/users/{user}", { params: { path: { tenant, user: user.id } } }),
                );
              },
            },
          ],
    actions: [
      {
        id: "create-user",
        label: m.create_user(),
        tone: "primary",
        fields: [
          { name: "id", label: m.id(), kind: "text", hint: m.user_id_hint() },
          { name: "name", label: m.name(), kind: "text", required: true },
          { name: "email", label: m.email(), kind: "text" },
          { name: "role", label: m.role(), kind: "text", hint: m.role_hint({ roles: roleValues.join(", ") }) },
          { name: "organization", label: m.organization(), kind: "text" },
        ],
        async run({ id, name = "", email, role, organization }) {
          await take(
            api.POST("/v1/tenants/{tenant}/users", {
              params,
              body: {
                ...(id ? { id } : {}),
                settings: {
                  name,
                  email: email || null,
                  role: role || null,
                  organization: organization || null,
                  disabled: false,
                },
              },
            }),
          );
        },
      },
    ],
    filters: [
      { name: "organization", label: m.organization() },
      { name: "q", label: m.search(), local: true },
    ],
    empty: m.users_empty(),
  };
}

export function organizations(tenant: string): List<Organization> {
  const params = { path: { tenant } };
  return {
    title: m.organizations(),
    load: (after) =>
      take(api.GET("/v1/tenants/{tenant}/organizations", { params: { ...params, query: given({ after }) } })),
    key: (row) => row.id,
    href: (row) => `${path("t", tenant, "users")}?organization=${encodeURIComponent(row.id)}`,
    columns: [
      { label: m.name(), cell: (row) => text(row.name || row.id) },
      { label: m.state(), cell: (row) => memberState(row, "organization") },
      { label: m.created(), cell: (row) => time(row.created_at) },
      { label: m.id(), cell: (row) => mono(row.id) },
    ],
    rowActions: (row): Action[] =>
      since(row.deleted_at)
        ? []
        : [
            {
              id: "edit-organization",
              label: m.edit(),
              fields: [
                { name: "name", label: m.name(), kind: "text", value: row.name },
                { name: "disabled", label: m.disabled(), kind: "check", value: since(row.disabled_at) ? "true" : "" },
              ],
              async run({ name = "", disabled }) {
                await take(
                  api.PUT("/v1/tenants/{tenant}/organizations/{organization}", {
                    params: { path: { tenant, organization: row.id } },
                    headers: ifMatch(row.revision),
                    body: { name, disabled: disabled === "true" },
                  }),
                );
              },
            },
            {
              id: "delete-organization",
              label: m.remove(),
              tone: "danger",
              confirm: m.delete_confirm({ name: row.name || row.id }),
              async run() {
                await take(
                  api.DELETE("/v1/tenants/{tenant}/organizations/{organization}", {
                    params: { path: { tenant, organization: row.id } },
                  }),
                );
              },
            },
          ],
    actions: [
      {
        id: "create-organization",
        label: m.create_organization(),
        tone: "primary",
        fields: [
          { name: "id", label: m.id(), kind: "text" },
          { name: "name", label: m.name(), kind: "text", required: true },
        ],
        async run({ id, name = "" }) {
          await take(
            api.POST("/v1/tenants/{tenant}/organizations", {
              params,
              body: { ...(id ? { id } : {}), settings: { name, disabled: false } },
            }),
          );
        },
      },
    ],
    empty: m.organizations_empty(),
  };
}

const POLICY = 'permit(principal, action == Action::"read", resource);\n';

export function roles(tenant: string): List<Role> {
  const put = async (role: string, policy: string, ceiling: string, revision?: number): Promise<void> => {
    await take(
      api.PUT("/v1/tenants/{tenant}/roles/{role}", {
        params: { path: { tenant, role } },
        headers: revision === undefined ? {} : ifMatch(revision),
        body: { policy, ceiling: ceiling as Schemas["Role"] },
      }),
    );
  };
  return {
    title: m.roles(),
    intro: m.roles_intro({ roles: roleValues.join(", ") }),
    load: (after) =>
      take(api.GET("/v1/tenants/{tenant}/roles", { params: { path: { tenant }, query: given({ after }) } })),
    key: (row) => row.name,
    columns: [
      { label: m.name(), cell: (row) => mono(row.name) },
      { label: m.permission_boundary(), cell: (row) => mono(row.ceiling) },
      { label: m.policy(), cell: (row) => mono(row.policy) },
      { label: m.changed(), cell: (row) => time(row.changed_at) },
      { label: m.by(), wide: true, cell: (row, names) => text(names[row.changed_by] ?? row.changed_by) },
    ],
    rowActions: (row): Action[] => [
      {
        id: "edit-role",
        label: m.edit(),
        fields: [
          {
            name: "ceiling",
            label: m.permission_boundary(),
            kind: "choice",
            choices: roleChoices(),
            value: row.ceiling,
          },
          { name: "policy", label: m.policy(), kind: "area", value: row.policy, required: true },
        ],
        run: ({ ceiling = "", policy = "" }) => put(row.name, policy, ceiling, row.revision),
      },
      {
        id: "delete-role",
        label: m.remove(),
        tone: "danger",
        confirm: m.delete_confirm({ name: row.name }),
        async run() {
          await take(api.DELETE("/v1/tenants/{tenant}/roles/{role}", { params: { path: { tenant, role: row.name } } }));
        },
      },
    ],
    actions: [
      {
        id: "create-role",
        label: m.create_role(),
        tone: "primary",
        fields: [
          { name: "name", label: m.name(), kind: "text", required: true },
          {
            name: "ceiling",
            label: m.permission_boundary(),
            kind: "choice",
            choices: roleChoices(),
            value: "developer",
          },
          { name: "policy", label: m.policy(), kind: "area", value: POLICY, required: true, hint: m.policy_hint() },
        ],
        run: ({ name = "", ceiling = "", policy = "" }) => put(name, policy, ceiling),
      },
    ],
    empty: m.roles_empty(),
  };
}

export function keys(tenant: string): List<Key> {
  return {
    title: m.signing_keys(),
    load: (): Promise<Page<Key>> => take(api.GET("/v1/tenants/{tenant}/keys", { params: { path: { tenant } } })),
    key: (row) => row.name,
    columns: [
      { label: m.name(), cell: (row) => mono(row.name) },
      {
        label: m.state(),
        cell: (row) =>
          since(row.revoked_at) ? { ...state("revoked"), why: why("access", "key-revoked") } : state("good"),
      },
      { label: m.key(), cell: (row) => mono(row.verifier) },
      { label: m.created(), wide: true, cell: (row) => time(row.created_at) },
    ],
    rowActions: (row): Action[] =>
      since(row.revoked_at)
        ? []
        : [
            {
              id: "revoke-key",
              label: m.revoke(),
              tone: "danger",
              confirm: m.revoke_confirm(),
              async run() {
                await take(
                  api.DELETE("/v1/tenants/{tenant}/keys/{key}", { params: { path: { tenant, key: row.name } } }),
                );
              },
            },
          ],
    actions: [
      {
        id: "add-key",
        label: m.add_key(),
        tone: "primary",
        fields: [{ name: "verifier", label: m.key(), kind: "area", required: true, hint: m.verifier_hint() }],
        async run({ verifier = "" }) {
          await take(
            api.POST("/v1/tenants/{tenant}/keys", {
              params: { path: { tenant } },
              body: { verifier: verifier.trim() },
            }),
          );
        },
      },
    ],
    empty: m.keys_empty(),
  };
}

/** Sessions of browsers in this console. */
export function sessions(tenant: string): List<Schemas["ConsoleSession"]> {
  return {
    title: m.sessions(),
    intro: m.sessions_intro(),
    load: (after) =>
      take(api.GET("/v1/tenants/{tenant}/sessions", { params: { path: { tenant }, query: given({ after }) } })),
    key: (row) => row.id,
    columns: [
      { label: m.user(), cell: (row) => text(row.principal) },
      {
        label: m.state(),
        cell: (row) => (row.id === session.id ? { ...state("active"), text: m.this_session() } : text("")),
      },
      { label: m.address(), cell: (row) => mono(row.address) },
      { label: m.browser(), wide: true, cell: (row) => text(row.user_agent) },
      { label: m.signed_in(), cell: (row) => time(row.created_at) },
      { label: m.last_used(), cell: (row) => time(row.used_at) },
      { label: m.ends(), wide: true, cell: (row) => time(row.expires_at) },
    ],
    rowActions: (row) => [
      {
        id: "end-session",
        label: m.end_session(),
        tone: "danger",
        confirm: row.id === session.id ? m.end_own_session_confirm() : m.end_session_confirm(),
        async run() {
          await take(
            api.DELETE("/v1/tenants/{tenant}/sessions/{session}", { params: { path: { tenant, session: row.id } } }),
          );
        },
      },
    ],
    filters: [{ name: "q", label: m.search(), local: true }],
    empty: m.none(),
  };
}
