// A message on its way through the broker, and its form in the journal.
import type { MessageProperties, UserProperties } from '@keyline/mqtt';
import type { Instant } from '@keyline/kernel';

export type Qos = 0 | 1 | 2;

/** Without the expiry, which is an instant here. */
export type OwnProperties = Omit<MessageProperties, 'messageExpiryInterval'>;

export interface Message {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly properties: OwnProperties | undefined;
  /** From MQTT 5's Message Expiry Interval. */
  readonly expiresAt: Instant | undefined;
}

/** Only the properties that belong to the message go on: alias and subscription identifier are the connection's, a delay the will's. */
export function ownPropertiesOf(given: MessageProperties | undefined): OwnProperties | undefined {
  if (given === undefined) return undefined;
  const { payloadFormatIndicator, responseTopic, correlationData, contentType, userProperties } =
    given;
  if (
    payloadFormatIndicator === undefined &&
    responseTopic === undefined &&
    correlationData === undefined &&
    contentType === undefined &&
    userProperties === undefined
  ) {
    return undefined;
  }
  return {
    ...(payloadFormatIndicator === undefined ? {} : { payloadFormatIndicator }),
    ...(responseTopic === undefined ? {} : { responseTopic }),
    // A view of the bytes that came would keep all of them.
    ...(correlationData === undefined ? {} : { correlationData: Buffer.from(correlationData) }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(userProperties === undefined ? {} : { userProperties }),
  };
}

/** A slice of what came from the socket would keep all of it in memory. */
export function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(end - start);
  bytes.copy(copy, 0, start, end);
  return copy;
}

export function expiryOf(
  given: { readonly messageExpiryInterval?: number | undefined } | undefined,
  now: Instant,
): Instant | undefined {
  const seconds = given?.messageExpiryInterval;
  return seconds === undefined ? undefined : now + seconds * 1000;
}

export function isExpired(message: Message, now: Instant): boolean {
  return message.expiresAt !== undefined && message.expiresAt <= now;
}

/**
 * What a message takes in memory beside its bytes: objects, a piece of memory of its own for the payload, a place in a queue or in the tree of
 * retained messages. Measured with 200,000 of one byte: 900 to 960 bytes each.
 */
const overheadBytes = 900;
/** The same of a user property: two strings and a pair. */
const propertyOverheadBytes = 128;

/** Memory that a kept message takes, about. */
export function bytesOf({ topic, payload, properties }: Message): number {
  let bytes = overheadBytes + topic.length + payload.length;
  if (properties === undefined) return bytes;
  bytes += (properties.responseTopic?.length ?? 0) + (properties.contentType?.length ?? 0);
  bytes += properties.correlationData?.length ?? 0;
  for (const [name, value] of properties.userProperties ?? []) {
    bytes += name.length + value.length + propertyOverheadBytes;
  }
  return bytes;
}

/** JSON: binary parts as base64. */
export interface MessageRecord {
  readonly t: string;
  readonly p: string;
  readonly q: Qos;
  readonly r?: 1;
  readonly v?: Omit<OwnProperties, 'correlationData'>;
  readonly c?: string;
  readonly e?: Instant;
}

export function encodeMessage(message: Message): MessageRecord {
  const { correlationData, ...properties } = message.properties ?? {};
  return {
    t: message.topic,
    p: message.payload.toString('base64'),
    q: message.qos,
    ...(message.retain ? { r: 1 } : {}),
    ...(message.properties === undefined ? {} : { v: properties }),
    ...(correlationData === undefined ? {} : { c: correlationData.toString('base64') }),
    ...(message.expiresAt === undefined ? {} : { e: message.expiresAt }),
  };
}

export function decodeMessage(record: MessageRecord): Message {
  const { t, p, q, r, v, c, e } = record;
  return {
    topic: t,
    payload: Buffer.from(p, 'base64'),
    qos: q,
    retain: r === 1,
    properties: v === undefined ? undefined : decodeProperties(v, c),
    expiresAt: e,
  };
}

function decodeProperties(
  { userProperties, ...rest }: Omit<OwnProperties, 'correlationData'>,
  correlationData: string | undefined,
): OwnProperties {
  return {
    ...rest,
    // Journals of earlier versions have an object here, with a list where a name came several times.
    ...(userProperties === undefined ? {} : { userProperties: pairsOf(userProperties) }),
    ...(correlationData === undefined
      ? {}
      : { correlationData: Buffer.from(correlationData, 'base64') }),
  };
}

function pairsOf(given: UserProperties | Record<string, string | string[]>): UserProperties {
  if (Array.isArray(given)) return given as UserProperties;
  return Object.entries(given).flatMap(([name, values]) =>
    [values].flat().map((value) => [name, value as string] as const),
  );
}
