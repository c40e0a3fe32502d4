// One payload: taken apart, carried out command by command, answered. Bounded in what it takes and in what it gives back.
import { randomUUID } from 'node:crypto';
import { admitCertificates, mostUsesTold, settleCertificateUses } from './admitted-certificates.ts';
import { clientCommands } from './client-commands.ts';
import type { Command, CommandContext } from './command.ts';
import { Effects } from './effects.ts';
import { normalizeSerial } from './serial.ts';
import { isFields, readField, readInteger, readText, Refusal, type Fields } from './fields.ts';
import { groupCommands } from './group-commands.ts';
import { roleCommands } from './role-commands.ts';
import type { DynsecState } from './state.ts';

const maximumPayloadBytes = 8 * 1024 * 1024;
const maximumCommands = 20_000;
/** Long lists asked for in one payload; MQTT itself ends at 256 MiB. */
const maximumResponseCharacters = 64 * 1024 * 1024;

export interface Payload {
  readonly commands: readonly unknown[];
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/** @returns the commands, or the error that the whole payload is answered with. Never throws. */
export function parsePayload(payload: Uint8Array): Payload | { readonly error: string } {
  if (payload.byteLength > maximumPayloadBytes) return { error: 'Payload too large' };
  let document: unknown;
  try {
    document = JSON.parse(decoder.decode(payload));
  } catch {
    // Not UTF-8, or not JSON: the answer says it.
    return { error: 'Payload not valid JSON' };
  }
  const commands: unknown = isFields(document) ? readField(document, 'commands') : undefined;
  if (!Array.isArray(commands)) return { error: 'Invalid/missing commands' };
  if (commands.length > maximumCommands) return { error: 'Too many commands' };
  return { commands };
}

/** The commands that set a password, with what is to be hashed for them beforehand. */
export function passwordsOf({ commands }: Payload): ReadonlyMap<unknown, string> {
  const passwords = new Map<unknown, string>();
  for (const command of commands) {
    if (!isFields(command)) continue;
    const password = readText(command, 'password');
    if (password !== undefined && password !== '') passwords.set(command, password);
  }
  return passwords;
}

const getDetails: Command = (_given, { state }) => ({
  clientCount: state.clients.size,
  groupCount: state.groups.size,
  roleCount: state.roles.size,
  changeIndex: state.changeIndex,
});

/** Keyline's own, for its embedded broker: a revoked certificate is refused in the handshake. Mosquitto has the CRL for that. */
const revokeCertificates: Command = (given, { state, effects }) => {
  const serials = readField(given, 'serials');
  if (!Array.isArray(serials)) throw new Refusal('Invalid/missing serials');
  const normal = serials.map((serial: unknown) => {
    const hex = typeof serial === 'string' ? normalizeSerial(serial) : undefined;
    if (hex === undefined) throw new Refusal('Invalid serial');
    return hex;
  });
  for (const serial of normal) {
    if (!state.revoke(serial)) continue;
    effects.revoke(serial);
    state.changeIndex += 1;
  }
  return undefined;
};

/**
 * `{after}`: uses of successors that were not settled yet, each time, the oldest first; and who was refused since that report of this start
 * of the broker.
 */
const getCertificateReports: Command = (given, { state, reports }) => ({
  start: startId,
  last: reports.last,
  reports: [
    ...[...state.uses.entries().take(mostUsesTold)].map(([username, use]) => ({
      ...{ kind: 'used', username },
      ...use,
    })),
    ...reports.after(readInteger(given, 'after', 0)),
  ],
});

/**
 * `{start, after, refusalsAfter}`: who came and went since `after` of the count `start`, a page at a time, and the refusals after that page
 * of them. What is asked with is on record at the asker's, and told no more.
 */
const getPresence: Command = (given, { tellPresence }) => {
  if (tellPresence === undefined) throw new Refusal('Unknown command');
  const told = tellPresence({
    start: readText(given, 'start') ?? '',
    after: readCount(given, 'after'),
    refusalsAfter: readCount(given, 'refusalsAfter'),
  });
  if (told === undefined) throw new Refusal('Presence was told to somebody else just now');
  return told;
};

/** Beyond 32 bits: it grows with every connection. */
function readCount(given: Fields, name: string): number {
  const value = readField(given, name);
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0;
}

/** Reports are numbered anew at each start. */
const startId = randomUUID();

interface NamedCommand {
  readonly name: string;
  readonly run: Command;
  /** Counted in the change index, whether or not something is another than before: as in Mosquitto. */
  readonly changes: boolean;
}

const commandsByName = new Map<string, NamedCommand>(
  Object.entries({
    ...clientCommands,
    ...groupCommands,
    ...roleCommands,
    getDetails,
    revokeCertificates,
    admitCertificates,
    getCertificateReports,
    getPresence,
    settleCertificateUses,
  }).map(([name, run]) => [
    name.toLowerCase(),
    { name, run, changes: !/^(?:get|list|revoke|admit|settle)/.test(name) },
  ]),
);

/** @returns the response document and what the payload means for live sessions */
export function executePayload(
  { commands }: Payload,
  context: Omit<CommandContext, 'effects' | 'passwordHash'> & {
    readonly state: DynsecState;
    readonly passwordHashes: ReadonlyMap<unknown, string>;
  },
): { readonly response: string; readonly effects: Effects } {
  const effects = new Effects();
  const answers: string[] = [];
  let length = 0;
  for (const command of commands) {
    const { answer, last } = answerCommand(command, {
      ...context,
      effects,
      passwordHash: context.passwordHashes.get(command),
    });
    let text = JSON.stringify(answer);
    if (length + text.length > maximumResponseCharacters) {
      text = JSON.stringify({ ...answer, data: undefined, error: 'Response too large' });
    }
    length += text.length;
    answers.push(text);
    // Mosquitto 2.1 drops what follows a command it can't make out.
    if (last) break;
  }
  return { response: `{"responses":[${answers.join(',')}]}`, effects };
}

interface Answer {
  readonly command: string;
  readonly error?: string;
  readonly data?: object | undefined;
  readonly correlationData?: string;
}

function answerCommand(
  command: unknown,
  context: CommandContext,
): { readonly answer: Answer; readonly last: boolean } {
  const refused = (error: string, name = 'Unknown command') => ({
    answer: { command: name, error },
    last: true,
  });
  if (!isFields(command)) return refused('Command not an object');
  const name = readText(command, 'command');
  if (name === undefined) return refused('Missing command');
  const correlationData = readField(command, 'correlationData');
  if (correlationData !== undefined && typeof correlationData !== 'string') {
    return refused('Invalid correlationData data type.', name);
  }
  return {
    answer: {
      command: name,
      ...run(name, command, context),
      ...(correlationData === undefined ? {} : { correlationData }),
    },
    last: false,
  };
}

function run(
  name: string,
  given: Fields,
  context: CommandContext,
): Pick<Answer, 'data' | 'error'> & { readonly command?: string } {
  const command = commandsByName.get(name.toLowerCase());
  if (command === undefined) return { error: 'Unknown command' };
  try {
    const data = command.run(given, context);
    if (command.changes) context.state.changeIndex += 1;
    return data === undefined ? {} : { command: command.name, data };
  } catch (refusal) {
    if (refusal instanceof Refusal) return { error: refusal.message };
    throw refusal;
  }
}

export function refusePayload(error: string): string {
  return JSON.stringify({ responses: [{ command: 'Unknown command', error }] });
}
