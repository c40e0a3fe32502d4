// Prometheus metrics. Counts come from the ledger as it grows; a series per certificate of a fleet there is not.
import { routes } from '@keyline/api';
import { deviceStates, type Crl, type Store } from '@keyline/fleet';
import type { Feed } from '@keyline/ledger';
import type { FastifyInstance } from 'fastify';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { DiskReserve } from './disk-reserve.ts';
import type { TargetView } from './effects.ts';
import type { BoundReason } from './listener-bounds.ts';

/** A follower as the metrics see it. */
export interface FollowerView {
  readonly name: string;
  lag(): number;
  lastError(): string | undefined;
}

/** A certificate that Keyline itself stands on. */
export interface WatchedCertificate {
  readonly name: string;
  readonly notAfter: number;
}

export interface Metrics {
  readonly contentType: string;
  text(): Promise<string>;
  /** Counts the requests of an app. */
  observe(app: FastifyInstance): void;
  /** A connection that was ended, or a request refused, by a bound of its listener. */
  ended(listener: 'api' | 'http', reason: BoundReason): void;
  refused(code: string): void;
  /** @param reason must have few values */
  handshakeFailed(reason: string): void;
}

export function createMetrics(options: {
  readonly store: Pick<Store, 'countDevicesByState'>;
  readonly feed: Pick<Feed, 'join' | 'age'>;
  /** Complete CRLs in force, one for each authority. */
  readonly crls: () => readonly Crl[];
  readonly followers: () => readonly FollowerView[];
  readonly targets: () => readonly Pick<TargetView, 'name' | 'compared' | 'lastError'>[];
  readonly certificates: () => readonly WatchedCertificate[];
  readonly reserve: Pick<DiskReserve, 'isLow' | 'freeBytes'>;
}): Metrics {
  const { store, feed } = options;
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const entries = new Counter({
    name: 'keyline_ledger_entries_total',
    help: 'Ledger entries since the start, by kind, whichever service wrote them.',
    labelNames: ['kind'],
    registers,
  });
  const view = feed.join({
    name: 'metrics',
    state: entries,
    apply(_state, committed) {
      // Once for each kind of a commit: looking a series up costs more than counting.
      const counts = new Map<string, number>();
      for (const { data } of committed) counts.set(data.kind, (counts.get(data.kind) ?? 0) + 1);
      for (const [kind, count] of counts) entries.inc({ kind }, count);
    },
  });
  const requests = new Histogram({
    name: 'keyline_http_request_duration_seconds',
    help: 'Time from the request to its answer, by route and status.',
    labelNames: ['route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    registers,
  });
  const ended = new Counter({
    name: 'keyline_listener_ended_total',
    help: 'Connections ended and requests refused by a bound of their listener (ca-config/service.yaml, listeners).',
    labelNames: ['listener', 'reason'],
    registers,
  });
  const refusals = new Counter({
    name: 'keyline_refusals_total',
    help: 'Requests refused, by code of the problem; the log has a few of them each minute.',
    labelNames: ['code'],
    registers,
  });
  const handshakes = new Counter({
    name: 'keyline_tls_handshakes_failed_total',
    help: 'TLS handshakes with the API that failed, by reason.',
    labelNames: ['reason'],
    registers,
  });
  const gauge = (
    name: string,
    help: string,
    labelNames: readonly string[],
    collect: (set: (labels: Record<string, string>, value: number) => void) => void | Promise<void>,
  ): void => {
    new Gauge({
      name,
      help,
      labelNames,
      registers,
      collect(this: Gauge) {
        this.reset();
        return collect((labels, value) => {
          this.set(labels, value);
        });
      },
    });
  };
  gauge(
    'keyline_feed_age_seconds',
    'Time since this service last knew the end of the ledger; above 1 it answers nothing from memory.',
    [],
    (set) => {
      set({}, feed.age() / 1000);
    },
  );
  gauge('keyline_devices', 'Devices by state.', ['state'], async (set) => {
    const counts = await store.countDevicesByState();
    for (const state of deviceStates) set({ state }, counts[state]);
  });
  gauge(
    'keyline_follower_lag',
    'Ledger entries a follower has still to apply.',
    ['follower'],
    (set) => {
      for (const follower of options.followers()) set({ follower: follower.name }, follower.lag());
    },
  );
  gauge('keyline_follower_failing', '1 while a follower can not get on.', ['follower'], (set) => {
    for (const follower of options.followers()) {
      set({ follower: follower.name }, follower.lastError() === undefined ? 0 : 1);
    }
  });
  gauge(
    'keyline_target_healthy',
    '1 while a broker is connected, answers and does as told; requests wait only for those.',
    ['target'],
    (set) => {
      for (const target of options.targets()) {
        set({ target: target.name }, target.lastError() === undefined ? 1 : 0);
      }
    },
  );
  gauge(
    'keyline_target_drift',
    'What the last comparison of a broker with the fleet found, by kind.',
    ['target', 'kind'],
    (set) => {
      for (const target of options.targets()) {
        const found = target.compared();
        if (found === undefined) continue;
        for (const kind of ['missing', 'changed', 'stale', 'foreign', 'roles'] as const) {
          set({ target: target.name, kind }, found[kind]);
        }
      }
    },
  );
  gauge(
    'x509_cert_not_after',
    "End of the authorities' and the service's own certificates, seconds since the epoch.",
    ['name'],
    (set) => {
      for (const { name, notAfter } of options.certificates()) set({ name }, notAfter / 1000);
    },
  );
  gauge('keyline_disk_free_bytes', 'Free space beside the database.', [], (set) => {
    const free = options.reserve.freeBytes();
    if (Number.isFinite(free)) set({}, free);
  });
  gauge(
    'keyline_disk_reserved',
    '1 while the disk is so full that only revocations are taken.',
    [],
    (set) => {
      set({}, options.reserve.isLow() ? 1 : 0);
    },
  );
  gauge('x509_crl_number', 'Number of the CRL in force.', ['authority'], (set) => {
    for (const { list, number } of options.crls()) set({ authority: list }, number);
  });
  gauge(
    'x509_crl_next_update',
    'End of the CRL in force, seconds since the epoch.',
    ['authority'],
    (set) => {
      for (const { list, nextUpdate } of options.crls()) {
        set({ authority: list }, nextUpdate / 1000);
      }
    },
  );

  const known = new Set<string>(Object.values(routes).map(({ url }) => url));
  return {
    contentType: registry.contentType,
    async text() {
      // What can't be read now is no reason to tell nothing: the age says how old it is.
      if (!view.isFresh(0)) await view.refresh().catch(() => undefined);
      return registry.metrics();
    },
    observe(app) {
      app.addHook('onResponse', (request, reply, done) => {
        // Only routes of the contract: paths that callers invent must not become series.
        const route = request.routeOptions.url ?? '';
        if (known.has(route)) {
          requests.observe({ route, status: String(reply.statusCode) }, reply.elapsedTime / 1000);
        }
        done();
      });
    },
    ended: (listener, reason) => {
      ended.inc({ listener, reason });
    },
    refused: (code) => {
      refusals.inc({ code });
    },
    handshakeFailed: (reason) => {
      handshakes.inc({ reason });
    },
  };
}
