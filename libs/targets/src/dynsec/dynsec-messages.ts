// What this room needs of a dynamic-security client: commands in, answers out, in order. The protocol itself is libs/dynsec.

export interface DynsecAcl {
  readonly acltype: 'publishClientSend' | 'publishClientReceive' | 'subscribePattern';
  readonly topic: string;
  readonly priority: number;
  readonly allow: boolean;
}

/** `setDefaultACLAccess` names rights, not patterns. */
export interface DynsecDefaultAccess {
  readonly acltype: 'publishClientSend' | 'publishClientReceive' | 'subscribe' | 'unsubscribe';
  readonly allow: boolean;
}

export interface DynsecCommand {
  readonly command: string;
  readonly [field: string]: unknown;
}

export interface DynsecAnswer {
  readonly command: string;
  /** The broker's words; absent: it did as told. */
  readonly error?: string | undefined;
  readonly data?: unknown;
}

export interface DynsecSender {
  /** One payload. Resolves with one answer per command, in the order of the commands; rejects when the broker can't be reached. */
  send(commands: readonly DynsecCommand[]): Promise<readonly DynsecAnswer[]>;
}

// Answers come over the wire: read defensively, absent and wrong shapes alike are "not there".

export function readObject(value: unknown, key: string): Readonly<Record<string, unknown>> {
  const member = isObject(value) ? value[key] : undefined;
  return isObject(member) ? member : {};
}

export function readList(
  value: unknown,
  key: string,
): readonly Readonly<Record<string, unknown>>[] {
  const member = isObject(value) ? value[key] : undefined;
  return Array.isArray(member) ? member.filter(isObject) : [];
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

// Brokers answer in words; these are Mosquitto's (2.0 and 2.1), which ours speaks too.
export const isMissing = ({ error }: DynsecAnswer): boolean =>
  error !== undefined && /not found/i.test(error);
export const isThereAlready = ({ error }: DynsecAnswer): boolean =>
  error !== undefined && /already exists/i.test(error);
export const isUnknownCommand = ({ error, command }: DynsecAnswer): boolean =>
  error !== undefined && /unknown command/i.test(`${error} ${command}`);
