// `keyline device revoke|suspend|resume|decommission`: one call, and what has taken effect.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Evidence, RouteName } from '@keyline/api';
import type { RouteInput } from '@keyline/client';
import { openClient } from '../find-service.ts';
import { exitCodes, formatInstant } from '@keyline/kernel';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { formatEvidence, isComplete } from '../print/evidence.ts';
import { createWaitingLine } from '../print/waiting-line.ts';
import { awaitCrlInForce } from './crl-in-force.ts';

/** Milliseconds that --wait follows; within them the service itself waits its effectWait each time. */
const patience = 60_000;
const pace = 200;

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
): Promise<number> {
  const { change, id, options } = given;
  const client = await openClient(context, options);
  try {
    const body = {
      ...(options.reason === undefined
        ? {}
        : {
            reason: options.reason as NonNullable<RouteInput<'revokeDevice'>['body']['reason']>,
          }),
      ...(options.wait === true ? { wait: true } : {}),
    };
    // Said again it changes nothing, and is answered with what has taken effect since.
    const call = () => client.call(routeOfChange[change], { params: { id }, body });
    const until = performance.now() + patience;
    const waiting = createWaitingLine(context.terminal);
    let answer = await call();
    while (options.wait === true && !isComplete(answer.evidence) && performance.now() < until) {
      const begun = performance.now();
      waiting.show(`${whatPends(answer.evidence)} Waiting for it.`);
      answer = await call();
      // A service that does not wait itself is not to be asked without a pause.
      await sleep(Math.max(0, begun + pace - performance.now()));
    }
    waiting.clear();
    const { device, evidence } = answer;
    const found =
      options.wait === true
        ? await awaitCrlInForce(evidence, {
            metrics: client.location.endpoints?.metrics,
            until,
            clock: context.clock,
          })
        : undefined;
    const crlInForce = found === 'not in time' ? undefined : found;
    if (options.json === true) {
      printJson(context, {
        device,
        evidence,
        ...(crlInForce === undefined
          ? {}
          : { crlInForce: { ...crlInForce, at: formatInstant(crlInForce.at) } }),
      });
    } else {
      context.terminal.out(
        `${device.id} is ${device.state}.\n\n${formatEvidence(evidence, crlInForce)}`,
      );
    }
    if (isComplete(evidence) && found !== 'not in time') return exitCodes.ok;
    if (options.wait !== true) {
      context.terminal.err('Pending effects follow by themselves; --wait waits for them.\n');
      return exitCodes.ok;
    }
    context.terminal.err(
      `${found === 'not in time' ? 'The broker has not read the CRL yet; see keyline_broker_crl_waiting in its metrics.' : whatPends(evidence)} It is done in the ledger, and tried again until everything follows. See "keyline doctor".\n`,
    );
    return exitCodes.pending;
  } finally {
    client.close();
  }
}

function whatPends({ targets, crl }: Evidence): string {
  const brokers = targets
    .filter(({ done }) => !done)
    .map(({ target, pending }) => `Broker ${target} is pending: ${pending ?? ''}`);
  const list = crl?.at === null ? [`The CRL ${crl.list} is pending.`] : [];
  return [...brokers, ...list].join(' ');
}
