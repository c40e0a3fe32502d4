// Roles: listed, applied, and explained for one identity and topic.
import { join } from 'node:path';
import type { ExplainRightResponse } from '@keyline/api';
import { explainRight, identityKindOf, type Role } from '@keyline/access';
import type { Device } from '@keyline/fleet';
import { getIdentity } from '../identity-answers.ts';
import { requireCaller, type ServiceContext } from '../service-context.ts';
import type { Register, RouteInput } from './register.ts';

export function registerRoles(register: Register, service: ServiceContext): void {
  const { fleet, access, roleApplication } = service;

  const placeOf = ({ source }: Role): { file: string; line: number } => ({
    file: join(access.folder, source?.file ?? ''),
    line: source?.line ?? 0,
  });

  register('listRoles', () =>
    Promise.resolve({
      items: [...access.roles.values()].map((role) => ({
        name: role.name,
        kind: role.kind ?? 'device',
        description: role.description,
        ...placeOf(role),
        publish: [...role.publish],
        subscribe: [...role.subscribe],
      })),
      nextCursor: null,
    }),
  );

  register('applyRoles', ({ request }) => roleApplication.apply(requireCaller(request.caller)));

  register('explainRight', async ({ query }) => {
    const device = await getIdentity(fleet, query.device);
    const type = access.types.get(device.type);
    const role = type && access.roles.get(type.role);
    const asked = { device: device.id, action: query.action, topic: query.topic };
    const kind = identityKindOf(device.type);
    if (role === undefined) {
      return {
        ...{ ...asked, kind, allowed: false, role: null, filter: null, closed: [], add: null },
        reason: `It is of the type "${device.type}", which ca-config has no more: brokers leave it what it had. Bring the type or role back, or decommission it.`,
        unapplied: false,
      };
    }
    return {
      ...{ ...asked, kind, role: { name: role.name, ...placeOf(role) } },
      ...explain(device, role, query),
      unapplied: await isUnapplied(role),
    };
  });

  async function isUnapplied(role: Role): Promise<boolean> {
    try {
      return (await access.read()).changed.includes(`role:${role.name}`);
    } catch {
      // A mistake somewhere in the files: they are not what runs.
      return true;
    }
  }
}

function explain(
  device: Device,
  role: Role,
  { action, topic }: Pick<RouteInput<'explainRight'>['query'], 'action' | 'topic'>,
): Pick<ExplainRightResponse, 'allowed' | 'reason' | 'filter' | 'closed' | 'add'> {
  const said = explainRight(role, device, { action, topic });
  const nothing = { allowed: false, filter: null, closed: [], add: null };
  if (device.state !== 'active') {
    return { ...nothing, reason: `It is ${device.state}, and no broker lets it in.` };
  }
  if (said.verdict === 'allowed') {
    const { filter: text, line } = said.by;
    const reason = `The role "${role.name}" has it.`;
    return { ...nothing, allowed: true, reason, filter: { text, line } };
  }
  const { reason, missing, closed } = said;
  return {
    ...nothing,
    reason,
    closed: closed.map(({ filter: text, line, why }) => ({ text, line, why })),
    add:
      missing === undefined
        ? null
        : { text: missing, list: action, line: role.source?.lists[action] ?? 0 },
  };
}
