// Service settings with durations as milliseconds, and what must hold between them.
import { Duration, parseDuration } from '@keyline/kernel';
import type { Checked } from './check-schema.ts';

export interface RateLimit {
  readonly requests: number;
  /** Milliseconds. */
  readonly window: number;
}

/** All durations in milliseconds. */
export interface ServiceConfig {
  readonly crl: {
    readonly validity: number;
    readonly interval: number;
    /** Among how many lists the leaves to come are shared; absent: one. */
    readonly shards?: number | undefined;
  };
  readonly ocsp: { readonly validity: number };
  readonly brokers: { readonly behindAfter: number };
  readonly devices: { readonly distinctIgnoringCase: boolean };
  readonly renewal: { readonly earlyWithSameKey: boolean; readonly perDay: number };
  readonly authorities: {
    readonly requireRootCrl: boolean;
    readonly secondAdministrator: boolean;
    readonly approvalWithin: number;
  };
  readonly limits: {
    readonly bodyBytes: number;
    readonly csrBytes: number;
    readonly lineBytes: number;
    readonly bulkWindow: number;
    readonly pageSize: number;
    readonly maxPageSize: number;
    readonly provisionWait: number;
    readonly effectWait: number;
  };
  readonly listeners: {
    readonly connections: number;
    readonly headerTime: number;
    readonly bodyTime: number;
    readonly bodyBytesInFlight: number;
    readonly streams: number;
  };
  /** Of web pages that may call, beside the service's own. */
  readonly origins: readonly string[];
  readonly storage: { readonly reserveBytes: number };
  readonly rateLimits: Readonly<Record<'anonymous' | 'enroll' | 'device' | 'operator', RateLimit>>;
}

export interface Fault {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** Of files that were written before there was such a section. */
const defaults = {
  listeners: {
    connections: 4096,
    headerTime: '10s',
    bodyTime: '20s',
    bodyBytesInFlight: 67_108_864,
    streams: 256,
  },
  storage: { reserveBytes: 33_554_432 },
} as const;

export function toServiceConfig(raw: Checked<'service'>): ServiceConfig {
  const rate = ({ requests, window }: { requests: number; window: string }): RateLimit => ({
    requests,
    window: parseDuration(window),
  });
  const listeners = raw.listeners ?? defaults.listeners;
  return {
    listeners: {
      ...listeners,
      headerTime: parseDuration(listeners.headerTime),
      bodyTime: parseDuration(listeners.bodyTime),
    },
    origins: raw.origins ?? [],
    storage: raw.storage ?? defaults.storage,
    crl: {
      validity: parseDuration(raw.crl.validity),
      interval: parseDuration(raw.crl.interval),
      ...(raw.crl.shards === undefined ? {} : { shards: raw.crl.shards }),
    },
    ocsp: { validity: parseDuration(raw.ocsp.validity) },
    brokers: { behindAfter: parseDuration(raw.brokers?.behindAfter ?? '30s') },
    devices: { distinctIgnoringCase: raw.devices?.distinctIgnoringCase ?? false },
    renewal: {
      earlyWithSameKey: raw.renewal?.earlyWithSameKey ?? false,
      perDay: raw.renewal?.perDay ?? 24,
    },
    authorities: {
      requireRootCrl: raw.authorities?.requireRootCrl ?? false,
      secondAdministrator: raw.authorities?.secondAdministrator ?? false,
      approvalWithin: parseDuration(raw.authorities?.approvalWithin ?? '1d'),
    },
    limits: {
      ...raw.limits,
      provisionWait: parseDuration(raw.enrollment.provisionWait),
      effectWait: parseDuration(raw.enrollment.effectWait),
    },
    rateLimits: {
      anonymous: rate(raw.rateLimits.anonymous),
      enroll: rate(raw.rateLimits.enroll),
      device: rate(raw.rateLimits.device),
      operator: rate(raw.rateLimits.operator),
    },
  };
}

export function findServiceFaults(service: ServiceConfig): Fault[] {
  const faults: Fault[] = [];
  const within = (
    path: Fault['path'],
    value: number,
    [least, most, words]: readonly [number, number, string],
  ): void => {
    if (value < least || value > most) faults.push({ path, message: `it must be ${words}` });
  };
  within(['crl', 'validity'], service.crl.validity, [
    Duration.minutes(1),
    Duration.days(366),
    'from 1m to 366d',
  ]);
  if (
    service.crl.interval * 2 > service.crl.validity ||
    service.crl.interval < Duration.seconds(1)
  ) {
    faults.push({
      path: ['crl', 'interval'],
      message:
        'it must be 1s or more, and at most half of crl.validity: brokers refuse every device once the CRL has ended, and a failed publication must have time to be repaired',
    });
  }
  within(['ocsp', 'validity'], service.ocsp.validity, [
    Duration.seconds(10),
    Duration.days(7),
    'from 10s to 7d',
  ]);
  const { limits, rateLimits, listeners } = service;
  within(['listeners', 'headerTime'], listeners.headerTime, [
    Duration.seconds(1),
    Duration.minutes(5),
    'from 1s to 5m',
  ]);
  within(['listeners', 'bodyTime'], listeners.bodyTime, [
    Duration.seconds(1),
    Duration.minutes(10),
    'from 1s to 10m',
  ]);
  within(['authorities', 'approvalWithin'], service.authorities.approvalWithin, [
    Duration.minutes(1),
    Duration.days(30),
    'from 1m to 30d',
  ]);
  within(['brokers', 'behindAfter'], service.brokers.behindAfter, [
    Duration.seconds(5),
    Duration.hours(1),
    'from 5s to 1h',
  ]);
  within(['enrollment', 'provisionWait'], limits.provisionWait, [
    0,
    Duration.seconds(30),
    'at most 30s',
  ]);
  within(['enrollment', 'effectWait'], limits.effectWait, [0, Duration.minutes(1), 'at most 1m']);
  if (limits.pageSize > limits.maxPageSize) {
    faults.push({
      path: ['limits', 'pageSize'],
      message: 'it must not be above limits.maxPageSize',
    });
  }
  if (limits.csrBytes > limits.bodyBytes) {
    faults.push({ path: ['limits', 'csrBytes'], message: 'it must not be above limits.bodyBytes' });
  }
  for (const [name, { window }] of Object.entries(rateLimits)) {
    within(['rateLimits', name, 'window'], window, [
      Duration.seconds(1),
      Duration.days(1),
      'from 1s to 1d',
    ]);
  }
  return faults;
}
