// `keyline device revoke|suspend|resume|decommission`: one call, and what has taken effect.
import type { RouteName } from '@keyline/api';
import { openClient, type RouteInput } from '../client/api-client.ts';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { formatEvidence, isComplete } from '../print/evidence.ts';

export type DeviceChange = 'revoke' | 'suspend' | 'resume' | 'decommission';

export interface ChangeOptions extends ClientOptions {
  readonly reason?: string;
  readonly wait?: boolean;
}

const routeOfChange = {
  revoke: 'revokeDevice',
  suspend: 'suspendDevice',
  resume: 'resumeDevice',
  decommission: 'decommissionDevice',
} as const satisfies Record<DeviceChange, RouteName>;

export async function changeDevice(
  context: CliContext,
  given: { change: DeviceChange; id: string; options: ChangeOptions },
): Promise<void> {
  const { change, id, options } = given;
  const client = await openClient(context, options);
  try {
    const { device, evidence } = await client.call(routeOfChange[change], {
      params: { id },
      body: {
        ...(options.reason === undefined
          ? {}
          : {
              reason: options.reason as NonNullable<RouteInput<'revokeDevice'>['body']['reason']>,
            }),
        ...(options.wait === true ? { wait: true } : {}),
      },
    });
    if (options.json === true) {
      printJson(context, { device, evidence });
      return;
    }
    context.terminal.out(`${device.id} is ${device.state}.\n\n${formatEvidence(evidence)}`);
    if (!isComplete(evidence)) {
      context.terminal.err(
        options.wait === true
          ? 'Not everything took effect within 10 s; it is being retried. See "keyline doctor".\n'
          : 'Pending effects follow by themselves; --wait waits for them.\n',
      );
    }
  } finally {
    client.close();
  }
}
