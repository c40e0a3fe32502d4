// A durable session as journal records, and back.
import type { JournalRecord } from './journal.ts';
import { decodeMessage, encodeMessage, type Message, type MessageRecord } from './message.ts';
import type { Outgoing, Session, SubscriptionOptions } from './session.ts';

/** Everything there is to say about a session. */
export function* recordsOf(session: Session): Generator<JournalRecord> {
  const { clientId } = session;
  yield ['s', clientId, session.owner];
  for (const [filter, options] of session.subscriptions) yield ['u', clientId, filter, options];
  for (const outgoing of session.inflight.values()) {
    yield queuedRecord(session, outgoing);
    yield sentRecord(session, outgoing);
  }
  for (const outgoing of session.queue) yield queuedRecord(session, outgoing);
  for (const messageId of session.incoming) yield ['i', clientId, messageId];
  if (session.expiresAt !== undefined) yield ['o', clientId, session.expiresAt];
}

export function queuedRecord({ clientId }: Session, outgoing: Outgoing): JournalRecord {
  const { sequence, message, qos, retain, identifiers } = outgoing;
  return ['q', clientId, sequence, lazily(message), qos, retain, identifiers ?? null];
}

export function sentRecord({ clientId }: Session, outgoing: Outgoing): JournalRecord {
  return ['t', clientId, outgoing.sequence, outgoing.messageId, outgoing.released];
}

/** Encoded when it is written: a snapshot collects references at one moment and pays for the encoding in slices. */
export function lazily(message: Message): { toJSON: () => MessageRecord } {
  return { toJSON: () => encodeMessage(message) };
}

export function replayInto(session: Session, [kind, , ...rest]: JournalRecord): void {
  switch (kind) {
    case 'u':
      session.subscriptions.set(rest[0] as string, rest[1] as SubscriptionOptions);
      break;
    case 'x':
      session.subscriptions.delete(rest[0] as string);
      break;
    case 'q': {
      const [sequence, message, qos, retain, identifiers] = rest as [
        number,
        MessageRecord,
        1 | 2,
        boolean,
        number[] | null,
      ];
      session.restoreOutgoing({
        sequence,
        message: decodeMessage(message),
        qos,
        retain,
        identifiers: identifiers ?? undefined,
        messageId: undefined,
        released: false,
      });
      break;
    }
    case 't': {
      const [sequence, messageId, released] = rest as [number, number, boolean];
      session.restoreSent(sequence, messageId, released);
      break;
    }
    case 'a':
      session.restoreDone(rest[0] as number);
      break;
    case 'i':
      session.incoming.add(rest[0] as number);
      break;
    case 'j':
      session.incoming.delete(rest[0] as number);
      break;
    case 'o':
      session.expiresAt = (rest[0] as number | null) ?? undefined;
      break;
    default:
      // A newer broker's record; the older one can't act on it, and losing it is better than not starting.
      break;
  }
}
