// A durable session as journal records, and back.
import { decodeMessage, encodeMessage, type Message, type MessageRecord } from './message.ts';
import type { JournalRecord } from './record-lines.ts';
import type { Outgoing, Session } from './session.ts';
import type { SubscriptionOptions } from './subscription.ts';

/** Everything there is to say about a session. */
export function* recordsOf(session: Session): Generator<JournalRecord> {
  const { clientId } = session;
  yield ['s', clientId, session.account.name];
  for (const { filter, options } of session.subscriptions?.values() ?? []) {
    yield subscriptionRecord(session, filter, options);
  }
  for (const outgoing of session.inflight?.values() ?? []) {
    if (outgoing.sequence === 0) continue;
    yield queuedRecord(session, outgoing);
    yield sentRecord(session, outgoing);
  }
  for (const outgoing of session.queue ?? []) yield queuedRecord(session, outgoing);
  for (const packetId of session.incoming ?? []) yield ['i', clientId, packetId];
  if (session.expiresAt !== undefined) yield ['o', clientId, session.expiresAt];
}

interface SubscriptionRecord {
  readonly qos: 0 | 1 | 2;
  readonly nl?: boolean | undefined;
  readonly rap?: boolean | undefined;
  readonly subscriptionIdentifier?: number | undefined;
}

export function subscriptionRecord(
  { clientId }: Session,
  filter: string,
  { qos, noLocal, retainAsPublished, identifier }: SubscriptionOptions,
): JournalRecord {
  const record: SubscriptionRecord = {
    qos,
    nl: noLocal || undefined,
    rap: retainAsPublished || undefined,
    subscriptionIdentifier: identifier,
  };
  return ['u', clientId, filter, record];
}

export function optionsOf(record: SubscriptionRecord): SubscriptionOptions {
  const { qos, nl, rap, subscriptionIdentifier } = record;
  return {
    qos,
    noLocal: nl === true,
    retainAsPublished: rap === true,
    identifier: subscriptionIdentifier,
  };
}

export function queuedRecord({ clientId }: Session, outgoing: Outgoing): JournalRecord {
  const { sequence, message, qos, retain, identifiers, group } = outgoing;
  const record = ['q', clientId, sequence, lazily(message), qos, retain, identifiers ?? null];
  return (group === undefined ? record : [...record, group.name]) as unknown as JournalRecord;
}

export function sentRecord({ clientId }: Session, outgoing: Outgoing): JournalRecord {
  return ['t', clientId, outgoing.sequence, outgoing.packetId, outgoing.released];
}

/** Encoded when it is written: a snapshot collects references at one moment and pays for the encoding in slices. */
export function lazily(message: Message): { toJSON: () => MessageRecord } {
  return { toJSON: () => encodeMessage(message) };
}

/** What a record says of a session that no other part of the broker has to know of. @returns whether it is one of those */
export function replayInto(session: Session, [kind, , ...rest]: JournalRecord): boolean {
  switch (kind) {
    case 't': {
      const [sequence, packetId, released] = rest as [number, number, boolean];
      session.restoreSent(sequence, packetId, released);
      return true;
    }
    case 'i':
      (session.incoming ??= new Set()).add(rest[0] as number);
      return true;
    case 'j':
      session.incoming?.delete(rest[0] as number);
      return true;
    case 'o':
      session.expiresAt = (rest[0] as number | null) ?? undefined;
      return true;
    default:
      return false;
  }
}

/** Without the shared subscription it came by, which is named last. */
export function outgoingOf([, , ...rest]: JournalRecord): {
  readonly outgoing: Omit<Outgoing, 'group'>;
  readonly groupName: string | undefined;
} {
  const [sequence, message, qos, retain, identifiers, groupName] = rest as [
    number,
    MessageRecord,
    1 | 2,
    boolean,
    number[] | null,
    string | undefined,
  ];
  return {
    outgoing: {
      sequence,
      message: decodeMessage(message),
      qos,
      retain,
      identifiers: identifiers ?? undefined,
      packetId: 0,
      released: false,
    },
    groupName,
  };
}
