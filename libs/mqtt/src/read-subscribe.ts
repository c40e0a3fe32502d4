// SUBSCRIBE and UNSUBSCRIBE (MQTT 5 §3.8 and §3.10, MQTT 3.1.1 the same).
import type { ByteReader } from './byte-reader.ts';
import type { QoS, SubscribePacket, Subscription, UnsubscribePacket } from './packets.ts';
import { readProperties } from './read-properties.ts';
import { isSharedFilter } from './topic.ts';

const noLocalBit = 0x04;
const retainAsPublishedBit = 0x08;
const retainHandlingShift = 4;
const reservedBits5 = 0xc0;
const reservedBits311 = 0xfc;

export function readSubscribe(reader: ByteReader): SubscribePacket {
  const packetId = reader.readPacketId();
  const properties = reader.version === 5 ? readProperties(reader, 'subscribe') : undefined;
  const subscriptions: Subscription[] = [];
  while (!reader.isAtEnd) {
    checkCount(reader, subscriptions.length);
    subscriptions.push(readSubscription(reader));
  }
  if (subscriptions.length === 0) reader.refuse('noSubscriptions');
  return { type: 'subscribe', packetId, subscriptions, properties };
}

export function readUnsubscribe(reader: ByteReader): UnsubscribePacket {
  const packetId = reader.readPacketId();
  const properties = reader.version === 5 ? readProperties(reader, 'unsubscribe') : undefined;
  const filters: string[] = [];
  while (!reader.isAtEnd) {
    checkCount(reader, filters.length);
    filters.push(reader.readTopicFilter());
  }
  if (filters.length === 0) reader.refuse('noFilters');
  return { type: 'unsubscribe', packetId, filters, properties };
}

function checkCount(reader: ByteReader, read: number): void {
  const { filtersPerPacket } = reader.limits;
  if (read >= filtersPerPacket) {
    reader.refuse('tooManyFilters', { found: `more than ${filtersPerPacket}` });
  }
}

function readSubscription(reader: ByteReader): Subscription {
  const filter = reader.readTopicFilter();
  const options = reader.readByte();
  if ((options & (reader.version === 5 ? reservedBits5 : reservedBits311)) !== 0) {
    reader.refuse('subscriptionOptions');
  }
  const qos = options & 3;
  if (qos === 3) reader.refuse('subscriptionQos');
  const retainHandling = options >> retainHandlingShift;
  if (retainHandling === 3) reader.refuse('retainHandling');
  const noLocal = (options & noLocalBit) !== 0;
  if (noLocal && isSharedFilter(filter)) reader.refuse('sharedNoLocal');
  return {
    filter,
    qos: qos as QoS,
    noLocal,
    retainAsPublished: (options & retainAsPublishedBit) !== 0,
    retainHandling: retainHandling as 0 | 1 | 2,
  };
}
