// What one payload means for live sessions, gathered while its commands are carried out.
import type { Kicks } from './session.ts';
import type { Client, DynsecState, Group, Role } from './state.ts';

export class Effects {
  readonly #kicked = new Set<string>();
  readonly #otherRights = new Set<string>();
  readonly #roles = new Set<Role>();
  readonly #groups = new Set<Group>();
  readonly #serials = new Set<string>();
  readonly #superseded = new Map<string, readonly string[]>();
  #anonymous = false;
  #everyonesRights = false;

  kickClient({ name }: Client): void {
    this.#kicked.add(name);
  }

  /** All who have it. They are counted once at the end: a role may be a whole fleet's, and a payload may change it often. */
  kickRole(role: Role): void {
    this.#roles.add(role);
  }

  kickGroup(group: Group): void {
    this.#groups.add(group);
  }

  kickAnonymous(): void {
    this.#anonymous = true;
  }

  /** Without cutting anybody. */
  changeRights({ name }: Client): void {
    this.#otherRights.add(name);
  }

  changeEveryonesRights(): void {
    this.#everyonesRights = true;
  }

  revoke(serial: string): void {
    this.#serials.add(serial);
  }

  supersede({ name }: Client, serials: readonly string[]): void {
    this.#superseded.set(name, [...(this.#superseded.get(name) ?? []), ...serials]);
  }

  /** To be called before members are taken away from a role or group that is kicked. */
  settle(state: DynsecState): void {
    for (const role of this.#roles) {
      for (const { name } of role.clients) this.#kicked.add(name);
      for (const group of role.groups) this.#groups.add(group);
    }
    for (const group of this.#groups) {
      for (const { name } of group.clients) this.#kicked.add(name);
      if (group === state.anonymousGroup) this.#anonymous = true;
    }
    this.#roles.clear();
    this.#groups.clear();
  }

  finish(state: DynsecState): {
    readonly kicks: Kicks;
    readonly rightsChanged: boolean | ReadonlySet<string>;
  } {
    this.settle(state);
    const kicks = {
      usernames: this.#kicked,
      anonymous: this.#anonymous,
      everyone: false,
      serials: this.#serials,
      superseded: this.#superseded,
    };
    if (this.#everyonesRights || this.#anonymous) return { kicks, rightsChanged: true };
    const rights =
      this.#otherRights.size === 0
        ? this.#kicked
        : new Set([...this.#kicked, ...this.#otherRights]);
    return { kicks, rightsChanged: rights.size > 0 && rights };
  }
}
