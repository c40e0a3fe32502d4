// Brings a broker's roles and default rights to what ca-config says. Changes only what differs: changing a role's rights kicks its clients.
import type { Roles } from '@keyline/access';
import type { BrokerLine } from './broker-line.ts';
import { compileRoles, defaultAccess, type DynsecRole } from './compile-role.ts';
import type { Dialect } from './dialect.ts';
import {
  isMissing,
  readList,
  readObject,
  type DynsecAnswer,
  type DynsecCommand,
} from './dynsec-messages.ts';

/**
 * @returns how many roles and default rights were not as they should be
 * @throws {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED
 */
export async function prepareBroker(
  ask: BrokerLine['ask'],
  roles: Roles,
  dialect: Dialect,
): Promise<number> {
  const wanted = compileRoles(roles, dialect);
  const [access, ...known] = await ask(
    [{ command: 'getDefaultACLAccess' }, ...wanted.map(askFor)],
    isMissing,
  );
  const commands = correctRoles(wanted, known, dialect);
  if (!hasDefaultAccess(access?.data)) {
    commands.unshift({ command: 'setDefaultACLAccess', acls: defaultAccess });
  }
  if (commands.length > 0) await ask(commands);
  return commands.length;
}

export function askFor({ rolename }: DynsecRole): DynsecCommand {
  return { command: 'getRole', rolename };
}

/** @param known what `askFor` was answered for each */
export function correctRoles(
  wanted: readonly DynsecRole[],
  known: readonly DynsecAnswer[],
  dialect: Pick<Dialect, 'limitsRates'>,
): DynsecCommand[] {
  const commands: DynsecCommand[] = [];
  for (const [position, role] of wanted.entries()) {
    const answer = known[position];
    if (answer === undefined || isMissing(answer)) {
      commands.push({ command: 'createRole', ...role });
      continue;
    }
    const change = {
      ...(hasAcls(answer.data, role) ? {} : { acls: role.acls }),
      ...(dialect.limitsRates
        ? { ...ratesToChange(answer.data, role), ...placeToChange(answer.data, role) }
        : {}),
    };
    if (Object.keys(change).length > 0) {
      commands.push({ command: 'modifyRole', rolename: role.rolename, ...change });
    }
  }
  return commands;
}

function hasDefaultAccess(data: unknown): boolean {
  const set = new Map(readList(data, 'acls').map(({ acltype, allow }) => [acltype, allow]));
  return defaultAccess.every(({ acltype, allow }) => set.get(acltype) === allow);
}

function hasAcls(data: unknown, { acls }: DynsecRole): boolean {
  const name = ({ acltype, topic, allow }: Readonly<Record<string, unknown>>): string =>
    JSON.stringify([acltype, topic, allow]);
  const set = new Set(readList(readObject(data, 'role'), 'acls').map(name));
  const wanted = new Set(acls.map((acl) => name({ ...acl })));
  return set.size === wanted.size && [...wanted].every((acl) => set.has(acl));
}

/** Nobody is cut for it. */
function placeToChange(data: unknown, { textdescription }: DynsecRole): Record<string, string> {
  return textdescription === undefined ||
    readObject(data, 'role')['textdescription'] === textdescription
    ? {}
    : { textdescription };
}

/** 0 takes a rate away. */
function ratesToChange(data: unknown, role: DynsecRole): Record<string, number> {
  const standing = readObject(data, 'role');
  const names = ['messagerate', 'byterate'] as const;
  return Object.fromEntries(
    names.flatMap((name) => {
      const wanted = role[name] ?? 0;
      return (standing[name] ?? 0) === wanted ? [] : [[name, wanted]];
    }),
  );
}
