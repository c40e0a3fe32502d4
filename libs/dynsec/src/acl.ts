// The ACLs of a role, in the order in which they are asked.
import { compileAclFilter, type AclFilter } from './acl-filter.ts';
import { isFields, readFlag, readPriority, readText } from './fields.ts';

/** In the order in which Mosquitto lists and stores them. */
export const aclTypes = [
  'publishClientSend',
  'publishClientReceive',
  'subscribeLiteral',
  'subscribePattern',
  'unsubscribeLiteral',
  'unsubscribePattern',
] as const;
export type AclType = (typeof aclTypes)[number];

export interface Acl {
  readonly topic: string;
  readonly priority: number;
  readonly allow: boolean;
  readonly pattern: AclFilter;
}

/** Each list by priority, highest first, then as they came. A topic is in a list once. */
export type Acls = Readonly<Record<AclType, readonly Acl[]>>;

const byLowerCase = new Map<string, AclType>(aclTypes.map((type) => [type.toLowerCase(), type]));

export function findAclType(name: string): AclType | undefined {
  return byLowerCase.get(name.toLowerCase());
}

export const noAcls: Acls = {
  publishClientSend: [],
  publishClientReceive: [],
  subscribeLiteral: [],
  subscribePattern: [],
  unsubscribeLiteral: [],
  unsubscribePattern: [],
};

export function createAcl(acl: Omit<Acl, 'pattern'>): Acl {
  return { ...acl, pattern: compileAclFilter(acl.topic) };
}

export function withAcl(acls: Acls, type: AclType, acl: Acl): Acls {
  return { ...acls, [type]: [...acls[type], acl].sort((a, b) => b.priority - a.priority) };
}

export function withoutAcl(acls: Acls, type: AclType, topic: string): Acls {
  return { ...acls, [type]: acls[type].filter((acl) => acl.topic !== topic) };
}

/** Takes what it understands and passes over the rest, as Mosquitto does in createRole, modifyRole and its file. */
export function readAcls(list: readonly unknown[]): Acls {
  const lists = new Map<AclType, Map<string, Acl>>(aclTypes.map((type) => [type, new Map()]));
  for (const entry of list) {
    if (!isFields(entry)) continue;
    const type = findAclType(readText(entry, 'acltype') ?? '');
    const acls = type === undefined ? undefined : lists.get(type);
    const topic = readText(entry, 'topic') ?? '';
    if (acls === undefined || topic === '' || acls.has(topic)) continue;
    const allow = readFlag(entry, 'allow') ?? false;
    acls.set(topic, createAcl({ topic, priority: readPriority(entry, 0), allow }));
  }
  const sorted = (type: AclType): readonly Acl[] =>
    [...(lists.get(type)?.values() ?? [])].sort((a, b) => b.priority - a.priority);
  return {
    publishClientSend: sorted('publishClientSend'),
    publishClientReceive: sorted('publishClientReceive'),
    subscribeLiteral: sorted('subscribeLiteral'),
    subscribePattern: sorted('subscribePattern'),
    unsubscribeLiteral: sorted('unsubscribeLiteral'),
    unsubscribePattern: sorted('unsubscribePattern'),
  };
}

export function listAcls(acls: Acls): object[] {
  return aclTypes.flatMap((acltype) =>
    acls[acltype].map(({ topic, priority, allow }) => ({ acltype, topic, priority, allow })),
  );
}
