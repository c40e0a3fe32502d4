// The role that one identity has on a broker. Most have that of ca-config, in which the broker fills the name in by itself. One that asks
// for type, batch or labels is filled here: one role for all identities with the same values, named after what it gives.
import { createHash } from 'node:crypto';
import { fillTopic, hasTemplates, isTemplate, type Role, type TopicValues } from '@keyline/access';

/** No role of ca-config has a "~" in its name. */
const filledName = /^[a-z0-9][a-z0-9-]{0,63}~[0-9a-f]{24}$/;

/** Whether a role on a broker was made here for some identities. */
export function isFilledRole(name: string): boolean {
  return filledName.test(name);
}

/**
 * @param options.fillsNames whether the broker puts the user name in the place of `%u`; else a topic that names it beside a label needs a
 *   role of its own for each identity
 */
export function brokerRoleOf(
  role: Role,
  values: TopicValues,
  { fillsNames }: { readonly fillsNames: boolean },
): Role {
  if (!hasTemplates(role)) return role;
  const fill = (filter: string): string[] => {
    if (!isTemplate(filter)) return [filter];
    const filled = fillTopic(filter, values, { keepsUser: fillsNames });
    return 'filter' in filled ? [filled.filter] : [];
  };
  const publish = unique(role.publish.flatMap(fill));
  const subscribe = unique(role.subscribe.flatMap(fill));
  // Rates are not part of it: they change without anybody being cut.
  const sum = createHash('sha256')
    .update(JSON.stringify([publish, subscribe]))
    .digest('hex');
  return { ...role, name: `${role.name}~${sum.slice(0, 24)}`, publish, subscribe };
}

function unique(filters: readonly string[]): string[] {
  return [...new Set(filters)];
}
