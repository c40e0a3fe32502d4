// Roles that were filled with the labels of some identities: made before the first of them comes, looked at again at each comparison, and
// taken away when nobody has them any more.
import type { Role } from '@keyline/access';
import { isFilledRole } from '../broker-role.ts';
import type { BrokerLine } from './broker-line.ts';
import { compileRole } from './compile-role.ts';
import type { Dialect } from './dialect.ts';
import { isMissing, readList } from './dynsec-messages.ts';
import { askFor, correctRoles } from './prepare-broker.ts';

const rolesPerCall = 200;
const namesPerPage = 1000;

export interface FilledRoles {
  /** @returns how many were not there, or gave something else */
  give(roles: readonly Role[], dialect: Dialect): Promise<number>;
  /** @param keep besides those that were given since `forget` */
  drop(keep: ReadonlySet<string>): Promise<void>;
  /** It may be another broker from here on. */
  forget(): void;
}

/** All may throw {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED. */
export function createFilledRoles({ ask }: Pick<BrokerLine, 'ask'>): FilledRoles {
  const given = new Set<string>();

  async function names(): Promise<string[]> {
    const all: string[] = [];
    for (let offset = 0; ; offset += namesPerPage) {
      const [answer] = await ask([
        { command: 'listRoles', verbose: true, count: namesPerPage, offset },
      ]);
      const page = readList(answer?.data, 'roles');
      for (const { rolename } of page) if (typeof rolename === 'string') all.push(rolename);
      if (page.length < namesPerPage) return all;
    }
  }

  return {
    async give(roles, dialect) {
      const wanted = new Map(
        roles.flatMap((role) => (given.has(role.name) ? [] : [[role.name, role] as const])),
      );
      const compiled = [...wanted.values()].map((role) => compileRole(role, dialect));
      let corrected = 0;
      for (let start = 0; start < compiled.length; start += rolesPerCall) {
        const some = compiled.slice(start, start + rolesPerCall);
        const commands = correctRoles(some, await ask(some.map(askFor), isMissing), dialect);
        if (commands.length > 0) await ask(commands);
        corrected += commands.length;
        for (const { rolename } of some) given.add(rolename);
      }
      return corrected;
    },
    async drop(keep) {
      const commands = (await names())
        .filter((name) => isFilledRole(name) && !given.has(name) && !keep.has(name))
        .map((rolename) => ({ command: 'deleteRole', rolename }));
      for (let start = 0; start < commands.length; start += rolesPerCall) {
        await ask(commands.slice(start, start + rolesPerCall), isMissing);
      }
    },
    forget: () => {
      given.clear();
    },
  };
}
