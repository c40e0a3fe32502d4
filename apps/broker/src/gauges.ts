// What the broker holds at this moment, for /metrics.
import type { DynsecEngine } from '@keyline/dynsec';
import type { MqttEngine } from './engine/mqtt-engine.ts';
import type { SessionStore } from './engine/session-store.ts';
import type { LiveSessions } from './live-sessions.ts';
import type { Metrics } from './metrics.ts';
import type { TlsListener } from './tls-listener.ts';

interface GaugeSources {
  readonly metrics: Metrics;
  readonly sessions: LiveSessions;
  readonly store: SessionStore;
  readonly engine: MqttEngine;
  readonly dynsec: DynsecEngine;
  readonly listeners: readonly TlsListener[];
}

export function addGauges(sources: GaugeSources): void {
  const { metrics, sessions, store, engine, dynsec, listeners } = sources;
  const { accounts } = store;
  const gauges: readonly (readonly [name: string, help: string, read: () => number])[] = [
    ['connections', 'Connections whose CONNECT was accepted.', () => sessions.size],
    [
      'handshakes_in_progress',
      'TLS handshakes that have begun and not ended.',
      () => listeners.reduce((sum, { handshakesInProgress }) => sum + handshakesInProgress, 0),
    ],
    [
      'connections_waiting',
      'Connections whose handshake is done and whose CONNECT was not accepted yet.',
      () => listeners.reduce((sum, { connectionsWaiting }) => sum + connectionsWaiting, 0),
    ],
    ['sessions', 'Sessions, of connected and of absent clients.', () => store.size],
    ['subscriptions', 'Subscriptions of connected clients.', () => engine.subscriptions],
    [
      'sessions_kept',
      'Whether sessions and messages are kept on disk; 0 while it takes nothing.',
      () => Number(store.isKept),
    ],
    [
      'messages_waiting',
      'QoS 1 and 2 messages that wait for a client or its acknowledgement.',
      () => store.messagesWaiting,
    ],
    ['retained_messages', 'Retained messages.', () => store.retained.size],
    ['queued_bytes', memoryOf('messages that wait for clients'), () => accounts.queuedBytes],
    ['retained_bytes', memoryOf('retained messages'), () => accounts.retainedBytes],
    [
      'partial_bytes',
      memoryOf('packets that are not whole, or wait because their sender is held back'),
      () => engine.memory.partial,
    ],
    ['unread_bytes', memoryOf('what slow clients have not taken'), () => engine.memory.unread],
    ['identities', 'Clients in the dynamic-security state.', () => dynsec.counts().clients],
    [
      'revoked_serials',
      'Certificates that are refused because they are revoked.',
      () => dynsec.counts().revokedSerials,
    ],
  ];
  for (const [name, help, read] of gauges) metrics.gauge(`keyline_broker_${name}`, help, read);
}

const memoryOf = (what: string): string => `Memory of ${what}, about.`;
