// A message on its way through the broker, and its form in the journal.
import type { PublishPacket } from 'aedes';
import type { Instant } from '@keyline/kernel';

export type Qos = 0 | 1 | 2;
export type PublishProperties = NonNullable<PublishPacket['properties']>;

export interface Message {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly properties?: PublishProperties | undefined;
  /** From MQTT 5's Message Expiry Interval. */
  readonly expiresAt?: Instant | undefined;
}

interface WirePublish extends Omit<PublishPacket, 'cmd' | 'dup'> {
  readonly messageExpiry?: Instant | undefined;
}

/**
 * Only the properties that belong to the message go on: alias and subscription identifier are the connection's, and a will's
 * delay has no place in a PUBLISH.
 */
export function messageOf(packet: WirePublish, now: Instant): Message {
  const { topic, payload, qos, retain, properties, messageExpiry } = packet;
  const seconds = properties?.messageExpiryInterval;
  return {
    topic,
    payload: typeof payload === 'string' ? Buffer.from(payload) : payload,
    qos,
    retain,
    properties: properties === undefined ? undefined : ownProperties(properties),
    expiresAt: messageExpiry ?? (seconds === undefined ? undefined : now + seconds * 1000),
  };
}

const ownPropertyNames = [
  'payloadFormatIndicator',
  'responseTopic',
  'correlationData',
  'userProperties',
  'contentType',
] as const;

function ownProperties(properties: PublishProperties): PublishProperties | undefined {
  const entries = ownPropertyNames.flatMap((name) =>
    properties[name] === undefined ? [] : [[name, properties[name]]],
  );
  return entries.length === 0 ? undefined : (Object.fromEntries(entries) as PublishProperties);
}

/** JSON: binary parts as base64. */
export interface MessageRecord {
  readonly t: string;
  readonly p: string;
  readonly q: Qos;
  readonly r?: 1;
  readonly v?: Omit<PublishProperties, 'correlationData'>;
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
    properties: c === undefined ? v : { ...v, correlationData: Buffer.from(c, 'base64') },
    expiresAt: e,
  };
}

export function isExpired(message: Message, now: Instant): boolean {
  return message.expiresAt !== undefined && message.expiresAt <= now;
}
