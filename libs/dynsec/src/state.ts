// Clients, groups and roles and who belongs to whom. Every change goes through here, so that both sides of a membership agree and
// what was touched is known: the journal writes that, and nothing else.
import { noAcls, type Acls } from './acl.ts';
import { RevokedSerials } from './revoked-serials.ts';
import { SortedNames } from './sorted-names.ts';

/** A role or group held, by reference. Lists are in order: priority, highest first, then name. */
export interface Membership<Kind extends { readonly name: string }> {
  readonly of: Kind;
  readonly priority: number;
}

export interface Rates {
  readonly messages: number;
  readonly bytes: number;
}

export const noRates: Rates = { messages: 0, bytes: 0 };

export class Role {
  readonly name: string;
  textName: string | undefined;
  textDescription: string | undefined;
  allowWildcardSubs = true;
  acls: Acls = noAcls;
  /** Keyline's own: PUBLISH packets, and bytes in them, that a client may send in a second; 0: the role says nothing. */
  rates: Rates = noRates;
  readonly clients = new Set<Client>();
  readonly groups = new Set<Group>();
  readonly #alone = new Map<number, readonly Membership<Role>[]>();

  constructor(name: string) {
    this.name = name;
  }

  /** The list that has only this role: one for all the clients that have no other, since a fleet is mostly such clients. */
  alone(priority: number): readonly Membership<Role>[] {
    let list = this.#alone.get(priority);
    if (list === undefined) {
      list = [{ of: this, priority }];
      this.#alone.set(priority, list);
    }
    return list;
  }
}

export class Group {
  readonly name: string;
  textName: string | undefined;
  textDescription: string | undefined;
  roles: readonly Membership<Role>[] = none;
  readonly clients = new Set<Client>();

  constructor(name: string) {
    this.name = name;
  }
}

export class Client {
  readonly name: string;
  clientId: string | undefined;
  textName: string | undefined;
  textDescription: string | undefined;
  disabled = false;
  /** In Mosquitto 2.1's one-string form; see passwords.ts. */
  password: string | undefined;
  /** Certificates it may come with, hex, oldest first, separated by commas; undefined: nobody keeps a list. */
  serials: string | undefined;
  roles: readonly Membership<Role>[] = none;
  groups: readonly Membership<Group>[] = none;

  constructor(name: string) {
    this.name = name;
  }
}

const none: readonly never[] = [];

/** The first use of a certificate that took the place of another. */
export interface CertificateUse {
  readonly serial: string;
  /** Of the peer; empty: not known. */
  readonly address: string;
}

export interface DefaultAccess {
  publishClientSend: boolean;
  publishClientReceive: boolean;
  subscribe: boolean;
  unsubscribe: boolean;
}

/** Names of what one payload touched; what it deleted and made again is in both sets of its kind. */
export class Touched {
  readonly clients = new Set<string>();
  readonly groups = new Set<string>();
  readonly roles = new Set<string>();
  readonly deletedClients = new Set<string>();
  readonly deletedGroups = new Set<string>();
  readonly deletedRoles = new Set<string>();
  readonly serials: string[] = [];
  /** Clients whose use of a successor is to be told, or was told. */
  readonly uses = new Set<string>();
  defaults = false;
  anonymousGroup = false;

  get isEmpty(): boolean {
    return (
      this.clients.size === 0 &&
      this.groups.size === 0 &&
      this.roles.size === 0 &&
      this.deletedClients.size === 0 &&
      this.deletedGroups.size === 0 &&
      this.deletedRoles.size === 0 &&
      this.serials.length === 0 &&
      this.uses.size === 0 &&
      !this.defaults &&
      !this.anonymousGroup
    );
  }
}

export class DynsecState {
  readonly clients = new Map<string, Client>();
  readonly groups = new Map<string, Group>();
  readonly roles = new Map<string, Role>();
  readonly clientNames = new SortedNames();
  readonly groupNames = new SortedNames();
  readonly roleNames = new SortedNames();
  readonly #revoked = new RevokedSerials();
  /**
   * The use of a successor that the issuing CA has not on record yet, by client: one that is deleted and made again has it still, or
   * its superseded certificate would come back.
   */
  readonly uses = new Map<string, CertificateUse>();
  /** What Mosquitto 2.0 begins with when it makes its file. */
  defaults: DefaultAccess = {
    publishClientSend: false,
    publishClientReceive: true,
    subscribe: false,
    unsubscribe: true,
  };
  anonymousGroup: Group | undefined;
  /** Commands that changed something: what Mosquitto calls so, and keeps in its file. */
  changeIndex = 0;
  /** Records of the journal: one for each payload that changed something. */
  recordIndex = 0;
  #touched = new Touched();

  /** What was touched since the last call. */
  takeTouched(): Touched {
    const touched = this.#touched;
    this.#touched = new Touched();
    return touched;
  }

  putClient(client: Client): void {
    this.clients.set(client.name, client);
    this.clientNames.add(client.name);
    this.#touched.clients.add(client.name);
  }

  /** Its plain members were changed. */
  touchClient(client: Client): void {
    this.#touched.clients.add(client.name);
  }

  deleteClient(client: Client): void {
    for (const { of } of client.roles) of.clients.delete(client);
    for (const { of } of client.groups) of.clients.delete(client);
    this.clients.delete(client.name);
    this.clientNames.delete(client.name);
    this.#touched.clients.delete(client.name);
    this.#touched.deletedClients.add(client.name);
  }

  setClientRoles(client: Client, roles: readonly Membership<Role>[]): void {
    for (const { of } of client.roles) of.clients.delete(client);
    for (const { of } of roles) of.clients.add(client);
    client.roles = shared(roles);
    this.#touched.clients.add(client.name);
  }

  setClientGroups(client: Client, groups: readonly Membership<Group>[]): void {
    for (const { of } of client.groups) of.clients.delete(client);
    for (const { of } of groups) of.clients.add(client);
    client.groups = groups.length === 0 ? none : groups;
    this.#touched.clients.add(client.name);
  }

  putGroup(group: Group): void {
    this.groups.set(group.name, group);
    this.groupNames.add(group.name);
    this.#touched.groups.add(group.name);
  }

  touchGroup(group: Group): void {
    this.#touched.groups.add(group.name);
  }

  deleteGroup(group: Group): void {
    for (const { of } of group.roles) of.groups.delete(group);
    for (const client of group.clients) {
      client.groups = without(client.groups, group);
    }
    group.clients.clear();
    this.groups.delete(group.name);
    this.groupNames.delete(group.name);
    this.#touched.groups.delete(group.name);
    this.#touched.deletedGroups.add(group.name);
  }

  setGroupRoles(group: Group, roles: readonly Membership<Role>[]): void {
    for (const { of } of group.roles) of.groups.delete(group);
    for (const { of } of roles) of.groups.add(group);
    group.roles = shared(roles);
    this.#touched.groups.add(group.name);
  }

  putRole(role: Role): void {
    this.roles.set(role.name, role);
    this.roleNames.add(role.name);
    this.#touched.roles.add(role.name);
  }

  touchRole(role: Role): void {
    this.#touched.roles.add(role.name);
  }

  deleteRole(role: Role): void {
    for (const client of role.clients) client.roles = shared(without(client.roles, role));
    for (const group of role.groups) group.roles = shared(without(group.roles, role));
    role.clients.clear();
    role.groups.clear();
    this.roles.delete(role.name);
    this.roleNames.delete(role.name);
    this.#touched.roles.delete(role.name);
    this.#touched.deletedRoles.add(role.name);
  }

  putUse(username: string, use: CertificateUse): void {
    this.uses.set(username, use);
    this.#touched.uses.add(username);
  }

  /** @param serial another than the one that is kept: nothing happens */
  settleUse(username: string, serial: string): void {
    if (this.uses.get(username)?.serial !== serial) return;
    this.uses.delete(username);
    this.#touched.uses.add(username);
  }

  setDefaults(defaults: DefaultAccess): void {
    this.defaults = defaults;
    this.#touched.defaults = true;
  }

  setAnonymousGroup(group: Group | undefined): void {
    this.anonymousGroup = group;
    this.#touched.anonymousGroup = true;
  }

  get revokedCount(): number {
    return this.#revoked.size;
  }

  /** @param serial lower-case hex of even length. @returns whether it was not revoked before */
  revoke(serial: string): boolean {
    if (!this.#revoked.add(serial)) return false;
    this.#touched.serials.push(serial);
    return true;
  }

  isRevoked(serial: string): boolean {
    return this.#revoked.has(serial);
  }

  revokedSerials(): Iterable<string> {
    return this.#revoked;
  }
}

/** In order of priority, highest first, then name; of two with one name the first stays. */
export function inOrder<Kind extends { readonly name: string }>(
  memberships: readonly Membership<Kind>[],
): readonly Membership<Kind>[] {
  const seen = new Set<Kind>();
  return memberships
    .filter(({ of }) => !seen.has(of) && seen.add(of))
    .sort((a, b) => b.priority - a.priority || (a.of.name < b.of.name ? -1 : 1));
}

function shared(roles: readonly Membership<Role>[]): readonly Membership<Role>[] {
  const [only] = roles;
  if (only === undefined) return none;
  return roles.length === 1 ? only.of.alone(only.priority) : roles;
}

export function without<Kind extends { readonly name: string }>(
  memberships: readonly Membership<Kind>[],
  kind: Kind,
): readonly Membership<Kind>[] {
  return memberships.filter(({ of }) => of !== kind);
}
