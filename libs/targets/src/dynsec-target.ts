// A broker that speaks dynamic security, as a follower of the ledger: devices become its clients. How messages reach it is the
// sender's; when to try again is the follower loop's.
import type { Roles } from '@keyline/access';
import type { LedgerEntry } from '@keyline/fleet';
import { isKeylineError, KeylineError, messageOf, systemClock, type Clock } from '@keyline/kernel';
import { createAcknowledgements } from './acknowledgements.ts';
import {
  isMissing,
  isThereAlready,
  isUnknownCommand,
  readList,
  readObject,
  type DynsecAnswer,
  type DynsecCommand,
  type DynsecSender,
} from './dynsec-messages.ts';
import { foldEntries, type DeviceChange } from './fold-entries.ts';
import { prepareBroker, type Ask } from './prepare-broker.ts';

/** Devices in one payload: Mosquitto does one payload at a time and stalls meanwhile. */
const devicesPerPayload = 100;
const serialsPerPayload = 1000;

export interface DynsecTarget {
  readonly name: string;
  /** Idempotent. @throws {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED */
  apply(entries: readonly LedgerEntry[]): Promise<void>;
  /** Roles and default rights as ca-config has them. `apply` does it by itself when it was not done since the last failure. */
  prepare(): Promise<void>;
  /** When the broker acknowledged what an entry asked of it for a device (or the owner of a certificate), if still remembered. */
  acknowledgedAt(device: string, seq: number): number | undefined;
}

export function createDynsecTarget(options: {
  readonly name: string;
  readonly client: DynsecSender;
  readonly roles: Roles;
  readonly clock?: Clock;
}): DynsecTarget {
  const { name, client, roles, clock = systemClock } = options;
  const acknowledgements = createAcknowledgements();
  let prepared = false;
  /** Keyline's own extension; Mosquitto has none, there the CRL does it. */
  let knowsSerials = true;

  const refused = (command: DynsecCommand | undefined, { error }: DynsecAnswer): KeylineError => {
    const about = command?.['username'] ?? command?.['rolename'];
    const subject = typeof about === 'string' ? ` for "${about}"` : '';
    return new KeylineError(
      'TARGET_REFUSED',
      `The broker "${name}" refused ${command?.command ?? 'a command'}${subject}: ${error ?? ''}. It is tried again; see the broker's log.`,
      { context: { target: name, error: error ?? '' } },
    );
  };

  async function sendAll(commands: readonly DynsecCommand[]): Promise<readonly DynsecAnswer[]> {
    let answers;
    try {
      answers = await client.send(commands);
    } catch (cause) {
      // Whoever comes back may be another broker, or the same one with less in its memory.
      prepared = false;
      if (isKeylineError(cause)) throw cause;
      throw new KeylineError(
        'TARGET_UNREACHABLE',
        `The broker "${name}" did not answer (${messageOf(cause)}). It is tried again until it does.`,
        { cause, context: { target: name } },
      );
    }
    if (answers.length !== commands.length) {
      throw new KeylineError(
        'TARGET_REFUSED',
        `The broker "${name}" answered ${String(answers.length)} of ${String(commands.length)} commands. It is tried again.`,
        { context: { target: name } },
      );
    }
    return answers;
  }

  const ask: Ask = async (commands, tolerates) => {
    const answers = await sendAll(commands);
    for (const [position, answer] of answers.entries()) {
      if (answer.error !== undefined && tolerates?.(answer, position) !== true) {
        throw refused(commands[position], answer);
      }
    }
    return answers;
  };

  async function prepare(): Promise<void> {
    prepared = false;
    knowsSerials = true;
    await prepareBroker(ask, roles);
    prepared = true;
  }

  /**
   * One payload for many devices. Serials go first, so that a device that is let go of does not come back in between with the
   * certificate that ended. Returns the first refusal, after every device had its turn.
   */
  async function push(
    serials: readonly string[],
    changes: readonly DeviceChange[],
  ): Promise<KeylineError | undefined> {
    const revocation =
      serials.length > 0 && knowsSerials ? [{ command: 'revokeCertificates', serials }] : [];
    const steps = changes.map((change) => ({ change, commands: commandsFor(change) }));
    const commands = [...revocation, ...steps.flatMap((step) => step.commands)];
    if (commands.length === 0) return undefined;
    const answers = await sendAll(commands);
    const at = clock.now();
    let failure: KeylineError | undefined;
    let next = revocation.length;
    const [revoked] = answers;
    if (next > 0 && revoked?.error !== undefined) {
      if (isUnknownCommand(revoked)) knowsSerials = false;
      else failure = refused(commands[0], revoked);
    }
    const known: DeviceChange[] = [];
    for (const { change, commands: asked } of steps) {
      const own = answers.slice(next, next + asked.length);
      next += asked.length;
      if (own.some(isThereAlready)) {
        known.push(change);
        continue;
      }
      // A client that is gone was to be let go of; a role that is missing is a fault.
      const fault = own.findIndex(
        (answer, position) =>
          answer.error !== undefined &&
          !(isMissing(answer) && asked[position]?.command !== 'addClientRole'),
      );
      const answer = own[fault];
      if (answer === undefined) acknowledgements.record(change.device, change.seq, at);
      else failure ??= refused(asked[fault], answer);
    }
    return (known.length === 0 ? undefined : await correct(known)) ?? failure;
  }

  /** Clients the broker knows already: changed only where they differ, because a change ends the client's session. */
  async function correct(changes: readonly DeviceChange[]): Promise<KeylineError | undefined> {
    const clients = await ask(
      changes.map(({ device }) => ({ command: 'getClient', username: device })),
    );
    const steps = changes.map((change, position) => ({
      change,
      commands: correctionsFor(change, readObject(clients[position]?.data, 'client')),
    }));
    const commands = steps.flatMap((step) => step.commands);
    const answers = commands.length === 0 ? [] : await sendAll(commands);
    const at = clock.now();
    let failure: KeylineError | undefined;
    let next = 0;
    for (const step of steps) {
      const own = answers.slice(next, next + step.commands.length);
      next += step.commands.length;
      const fault = own.findIndex((answer) => answer.error !== undefined);
      const answer = own[fault];
      if (answer === undefined) {
        acknowledgements.record(step.change.device, step.change.seq, at);
      } else {
        failure ??= refused(step.commands[fault], answer);
      }
    }
    return failure;
  }

  return {
    name,
    prepare,
    acknowledgedAt: (device, seq) => acknowledgements.find(device, seq),
    async apply(entries) {
      const { devices, endedSerials, certificates } = foldEntries(entries);
      // What was acknowledged before another device's refusal is not sent again with the retry.
      const changes = devices.filter(
        ({ device, seq, touches }) => touches && acknowledgements.find(device, seq) === undefined,
      );
      if (changes.length > 0 && !prepared) await prepare();
      let failure: KeylineError | undefined;
      for (
        let device = 0, serial = 0;
        device < changes.length || serial < endedSerials.length;
        device += devicesPerPayload, serial += serialsPerPayload
      ) {
        const refusal = await push(
          endedSerials.slice(serial, serial + serialsPerPayload),
          changes.slice(device, device + devicesPerPayload),
        );
        failure ??= refusal;
      }
      if (failure !== undefined) {
        // A missing role or right is what preparing puts right.
        prepared = false;
        throw failure;
      }
      const at = clock.now();
      for (const { device, seq } of devices) acknowledgements.record(device, seq, at);
      for (const { owner, seq } of certificates) acknowledgements.record(owner, seq, at);
    },
  };
}

function commandsFor({ device, state, role, restarts }: DeviceChange): DynsecCommand[] {
  const username = device;
  switch (state) {
    case 'registered':
      return [];
    case 'active':
      // Not createClient with its roles: on Mosquitto 2.0 that is a use-after-free once the role is deleted.
      return [
        ...(restarts ? [{ command: 'deleteClient', username }] : []),
        { command: 'createClient', username },
        { command: 'addClientRole', username, rolename: role, priority: -1 },
      ];
    case 'suspended':
      // Both: Mosquitto cuts a disabled client and then lets it reconnect, with whatever rights it still has.
      return [
        { command: 'disableClient', username },
        { command: 'modifyClient', username, roles: [], groups: [] },
      ];
    case 'revoked':
    case 'decommissioned':
      return [{ command: 'deleteClient', username }];
  }
}

function correctionsFor(
  { device, role }: DeviceChange,
  client: Readonly<Record<string, unknown>>,
): DynsecCommand[] {
  const username = device;
  const commands: DynsecCommand[] = [];
  const roles = readList(client, 'roles').map(({ rolename }) => rolename);
  if (roles.length !== 1 || roles[0] !== role || readList(client, 'groups').length > 0) {
    commands.push({
      command: 'modifyClient',
      username,
      roles: [{ rolename: role, priority: -1 }],
      groups: [],
    });
  }
  if (client['disabled'] === true) commands.push({ command: 'enableClient', username });
  return commands;
}
