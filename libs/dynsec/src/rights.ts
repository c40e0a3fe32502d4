// What a session may do. Asked for every message and every receiver: no allocation, memberships by reference, filters compiled.
import { covers, takeApart, type Levels } from '@keyline/mqtt';
import type { Acl, AclType } from './acl.ts';
import type { Session } from './session.ts';
import {
  noRates,
  type DefaultAccess,
  type DynsecState,
  type Membership,
  type Rates,
  type Role,
} from './state.ts';

const controlTopic = '$CONTROL';
const adminTopic = '$CONTROL/dynamic-security';

export class Rights {
  readonly #state: DynsecState;
  readonly #admins: ReadonlySet<string>;

  constructor(state: DynsecState, admins: ReadonlySet<string>) {
    this.#state = state;
    this.#admins = admins;
  }

  mayPublish(session: Session, topic: string): boolean {
    return this.#decide(session, takeApart(topic), 'publishClientSend', undefined);
  }

  mayReceive(session: Session, topic: string): boolean {
    return this.#decide(session, takeApart(topic), 'publishClientReceive', undefined);
  }

  maySubscribe(session: Session, filter: string): boolean {
    return this.#decide(session, takeApart(filter), 'subscribePattern', 'subscribeLiteral');
  }

  mayUnsubscribe(session: Session, filter: string): boolean {
    return this.#decide(session, takeApart(filter), 'unsubscribePattern', 'unsubscribeLiteral');
  }

  /** In the order in which ACLs are looked at; each rate by itself. */
  ratesOf(username: string): Rates {
    const client = this.#state.clients.get(username);
    if (client === undefined) return noRates;
    let { messages, bytes } = noRates;
    for (const roles of [client.roles, ...client.groups.map(({ of }) => of.roles)]) {
      for (const { of } of roles) {
        messages ||= of.rates.messages;
        bytes ||= of.rates.bytes;
      }
    }
    return { messages, bytes };
  }

  /** Client's roles, then its groups' roles, then the default. The first ACL that matches decides. */
  #decide(
    session: Session,
    asked: Levels,
    type: keyof typeof defaultOf,
    literal: AclType | undefined,
  ): boolean {
    const { username } = session;
    const control = asked.dollar && asked.text.startsWith(controlTopic);
    if (control && username !== undefined && isUnder(asked.text) && this.#admins.has(username)) {
      return true;
    }
    if (username === undefined) {
      const group = this.#state.anonymousGroup;
      if (group !== undefined) {
        const verdict = decideByRoles(group.roles, session, asked, type, literal);
        if (verdict !== undefined) return verdict;
      }
    } else {
      const client = this.#state.clients.get(username);
      if (client === undefined || client.disabled) return false;
      const verdict = decideByRoles(client.roles, session, asked, type, literal);
      if (verdict !== undefined) return verdict;
      for (const { of } of client.groups) {
        const byGroup = decideByRoles(of.roles, session, asked, type, literal);
        if (byGroup !== undefined) return byGroup;
      }
    }
    return this.#state.defaults[defaultOf[type]] && !isControl(asked);
  }
}

const defaultOf = {
  publishClientSend: 'publishClientSend',
  publishClientReceive: 'publishClientReceive',
  subscribePattern: 'subscribe',
  unsubscribePattern: 'unsubscribe',
} as const satisfies Partial<Record<AclType, keyof DefaultAccess>>;

const isUnder = (topic: string): boolean =>
  topic.length === adminTopic.length
    ? topic === adminTopic
    : topic.startsWith(adminTopic) && topic[adminTopic.length] === '/';

/** `$CONTROL` is never given by default, nor through a shared subscription. */
function isControl({ text, dollar, levels }: Levels): boolean {
  if (!dollar) return false;
  return (
    text.startsWith(controlTopic) ||
    (levels[0] === '$share' && levels[2]?.startsWith(controlTopic) === true)
  );
}

function decideByRoles(
  roles: readonly Membership<Role>[],
  session: Session,
  asked: Levels,
  type: AclType,
  literal: AclType | undefined,
): boolean | undefined {
  for (const { of: role } of roles) {
    if (type === 'subscribePattern' && asked.wildcard && !role.allowWildcardSubs) return false;
    if (literal !== undefined) {
      for (const acl of role.acls[literal]) {
        if (acl.topic === asked.text) return acl.allow;
      }
    }
    for (const acl of role.acls[type]) {
      if (applies(acl, asked, session)) return acl.allow;
    }
  }
  return undefined;
}

/** A filter that MQTT does not allow (createRole takes it unchecked) can only forbid: everything, since nobody knows what was meant. */
function applies({ pattern, allow }: Acl, asked: Levels, session: Session): boolean {
  return pattern.valid ? covers(pattern.filter, asked, session) : !allow;
}
