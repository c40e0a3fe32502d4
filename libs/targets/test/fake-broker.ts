// A broker's dynamic security in memory, with Mosquitto's words, for the target's tests.
import type { DynsecSender } from '../src/dynsec/dynsec-messages.ts';
import type { DynsecAnswer, DynsecCommand } from '../src/index.ts';

interface Client {
  username: string;
  disabled: boolean;
  roles: { rolename: string; priority: number }[];
  groups: unknown[];
  serials?: string[] | undefined;
}

export class FakeBroker implements DynsecSender {
  readonly payloads: DynsecCommand[][] = [];
  readonly clients = new Map<string, Client>();
  readonly roles = new Map<string, unknown>();
  readonly revoked = new Set<string>();
  readonly kicked: string[] = [];
  /** What getCertificateReports tells. */
  reports: Record<string, unknown>[] = [];
  readonly settled: unknown[] = [];
  start = 'first';
  access: unknown[] = [];
  reachable = true;
  knowsSerials = true;
  /** As Mosquitto from 2.1: getDetails, and roles within createClient. */
  isNew = false;
  readonly refuse = new Set<string>();

  send(commands: readonly DynsecCommand[]): Promise<readonly DynsecAnswer[]> {
    if (!this.reachable) return Promise.reject(new Error('connection refused'));
    this.payloads.push([...commands]);
    return Promise.resolve(commands.map((command) => this.#answer(command)));
  }

  get commands(): string[] {
    return this.payloads.flat().map(({ command }) => command);
  }

  #answer(given: DynsecCommand): DynsecAnswer {
    const { command } = given;
    const username = given['username'] as string;
    const rolename = given['rolename'] as string;
    const client = this.clients.get(username);
    const ok = (data?: unknown): DynsecAnswer => ({ command, data });
    const passedOver: unknown[] = [];
    const error = (text: string): DynsecAnswer => ({ command, error: text });
    if (this.refuse.has(username)) return error('Internal error');
    switch (command) {
      case 'getDefaultACLAccess':
        return ok({ acls: this.access });
      case 'setDefaultACLAccess':
        this.access = given['acls'] as unknown[];
        return ok();
      case 'getRole':
        return this.roles.has(rolename)
          ? ok({ role: this.roles.get(rolename) })
          : error('Role not found');
      case 'createRole':
      case 'modifyRole': {
        const { command: _, ...role } = given;
        // Whatever a command does not name stays as it is.
        this.roles.set(rolename, { ...(this.roles.get(rolename) as object | undefined), ...role });
        return ok();
      }
      case 'listRoles': {
        const offset = given['offset'] as number;
        const page = [...this.roles.values()].slice(offset, offset + (given['count'] as number));
        return ok({ totalCount: this.roles.size, roles: page });
      }
      case 'deleteRole':
        return this.roles.delete(rolename) ? ok() : error('Role not found');
      case 'getDetails':
        return this.isNew ? ok({ clientCount: this.clients.size }) : error('Unknown command');
      case 'listClients': {
        const offset = given['offset'] as number;
        const count = given['count'] as number;
        const all = [...this.clients.values()];
        const clients = all.slice(offset, offset + count).map((one) => ({
          ...one,
          ...(one.disabled ? {} : { disabled: undefined }),
        }));
        return ok({ totalCount: all.length, clients });
      }
      case 'revokeCertificates':
        if (!this.knowsSerials) return error('Unknown command');
        for (const serial of given['serials'] as string[]) this.revoked.add(serial);
        return ok();
      case 'admitCertificates':
        if (!this.knowsSerials) return error('Unknown command');
        for (const entry of given['certificates'] as Record<string, string | null | true>[]) {
          const known = this.clients.get(entry['username'] as string);
          if (known === undefined) continue;
          const serial = entry['serial'] as string;
          const before = entry['predecessor'] as string | null;
          const listed = known.serials ?? [];
          const at = listed.indexOf(serial);
          const kept = listed.filter((one) => one === before);
          if (listed.length === 0 || entry['anew'] === true) {
            known.serials = [...(before === null ? [] : [before]), serial];
          } else if (at < 0 && kept.length === 0) {
            passedOver.push({ username: known.username, serials: listed });
          } else known.serials = [...kept, ...(at < 0 ? [serial] : listed.slice(at))];
        }
        return ok(passedOver.length === 0 ? undefined : { passedOver });
      case 'settleCertificateUses':
        this.settled.push(...(given['uses'] as unknown[]));
        return ok();
      case 'getCertificateReports':
        if (!this.knowsSerials) return error('Unknown command');
        return ok({
          start: this.start,
          last: this.reports.length,
          reports: this.reports.slice(given['after'] as number),
        });
      case 'createClient':
        if (client !== undefined) return error('Client already exists');
        this.clients.set(username, {
          username,
          disabled: false,
          roles: (given['roles'] as Client['roles'] | undefined) ?? [],
          groups: [],
          ...(given['serials'] === undefined
            ? {}
            : { serials: [...(given['serials'] as string[])] }),
        });
        return ok();
    }
    if (client === undefined) return error('Client not found');
    switch (command) {
      case 'getClient':
        return ok({ client: { ...client, ...(client.disabled ? {} : { disabled: undefined }) } });
      case 'addClientRole':
        if (!this.roles.has(rolename)) return error('Role not found');
        if (client.roles.some((role) => role.rolename === rolename)) return error('Internal error');
        client.roles.push({ rolename, priority: -1 });
        break;
      case 'modifyClient':
        client.roles = given['roles'] as Client['roles'];
        break;
      case 'enableClient':
        client.disabled = false;
        break;
      case 'disableClient':
        client.disabled = true;
        break;
      case 'deleteClient':
        this.clients.delete(username);
        break;
      default:
        return error('Unknown command');
    }
    this.kicked.push(username);
    return ok();
  }
}
