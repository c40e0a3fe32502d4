// Alerts of this service: what is watched, who is told, and which of the services on one database does both.
import {
  createAlertFollower,
  createUnusableChannel,
  loadAlertChannels,
  type AlertChannel,
  type AlertFollower,
  type WatchedAuthority,
} from '@keyline/alerts';
import type { Authorities } from '@keyline/authorities';
import { readBackupStatus } from '@keyline/backup';
import type { Crl } from '@keyline/fleet';
import { isKeylineError } from '@keyline/kernel';
import type { Hold, LeasedFollower, Leases, RunningLeasedFollower } from '@keyline/ledger';
import type { CrlPublisher } from '@keyline/status';
import { encodePem } from '@keyline/x509';
import type { Logger } from 'pino';
import { findBackupConditions } from './backup-findings.ts';
import type { BrokerTarget } from './broker-targets.ts';
import { findConditions } from './conditions.ts';
import type { DiskReserve } from './disk-reserve.ts';
import type { Issuing } from './open-issuing.ts';

export interface StartedAlerts {
  readonly alerts: AlertFollower;
  readonly channels: readonly AlertChannel[];
  /** One for each channel, in their order. */
  readonly alertFollowers: readonly RunningLeasedFollower[];
}

/** Evaluates once before it resolves, where it is this service that does. */
export async function startAlerts(options: {
  readonly issuing: Issuing;
  /** Of the issuing CA. */
  readonly folder: string;
  readonly leases: Leases;
  readonly follow: (follower: LeasedFollower) => Promise<RunningLeasedFollower>;
  readonly targets: readonly BrokerTarget[];
  readonly crl: CrlPublisher;
  /** Complete CRLs in force. */
  readonly crls: () => readonly Crl[];
  readonly reserve: DiskReserve;
  readonly log: Logger;
  /** Called when the service ends. */
  readonly closeWith: (closer: () => Promise<void>) => void;
}): Promise<StartedAlerts> {
  const { issuing, folder, leases, follow, targets, crl, crls, reserve, log, closeWith } = options;
  const { feed, fleet, authorities, config } = issuing;
  const { store, clock } = fleet;
  const { channels, unusable } = await openChannels(config, {
    log,
    ownRoots: () => authorities.trust().map(({ der }) => encodePem('CERTIFICATE', der)),
  });
  let mayEvaluate: Hold | undefined;
  const alerts = createAlertFollower({
    store,
    feed,
    hold: () => mayEvaluate,
    clock,
    rules: config.alerts,
    channels,
    authorities: () => watchedAuthorities(authorities),
    crls: () =>
      crls().map(({ list, thisUpdate, nextUpdate }) => ({
        authority: list,
        thisUpdate,
        nextUpdate,
        // A root's is made by hand.
        ...(authorities.all().some(({ id }) => id === list)
          ? { interval: config.service.crl.interval }
          : {}),
      })),
    conditions: () => [
      ...findBackupConditions(readBackupStatus(folder), clock.now()),
      ...findConditions({
        authorities,
        crl,
        targets,
        behindAfter: config.service.brokers.behindAfter,
        channels: unusable,
        reserve,
        now: clock.now(),
      }),
    ],
    log,
  });
  const alertFollowers: RunningLeasedFollower[] = [];
  for (const delivery of alerts.deliveries) alertFollowers.push(await follow(delivery));
  // Before the follower stops, which waits for what is being delivered.
  closeWith(() => alerts.close());
  await leases.contend('alerts', {
    async begin(hold) {
      mayEvaluate = hold;
      await alerts.tick();
    },
    end() {
      mayEvaluate = undefined;
      return Promise.resolve();
    },
  });
  return { alerts, channels, alertFollowers };
}

export interface UnusableChannel {
  readonly name: string;
  readonly reason: string;
}

/** One that can't be used as it is configured stops nothing else. */
async function openChannels(
  { alerts, mistakes }: Pick<Issuing['config'], 'alerts' | 'mistakes'>,
  options: Parameters<typeof loadAlertChannels>[1],
): Promise<{ channels: AlertChannel[]; unusable: UnusableChannel[] }> {
  const unusable: UnusableChannel[] = [];
  const unusableChannel = (name: string, detail: string): AlertChannel => {
    const reason = `The channel "${name}" is told of nothing: ${detail.replace(/(?<=[^.?!])$/, '.')} Mend it ("keyline config check"), and start again.`;
    options.log.error({ channel: name }, reason);
    unusable.push({ name, reason });
    return createUnusableChannel(name, reason);
  };
  const channels = await loadAlertChannels({ ...alerts.channels, webhooks: [] }, options);
  for (const webhook of alerts.channels.webhooks) {
    try {
      channels.push(...(await loadAlertChannels({ log: false, webhooks: [webhook] }, options)));
    } catch (error) {
      if (!isKeylineError(error)) throw error;
      channels.push(unusableChannel(webhook.name, error.detail));
    }
  }
  for (const { part, name, detail } of mistakes) {
    if (part === 'channel') channels.push(unusableChannel(name, detail));
  }
  return { channels, unusable };
}

export function watchedAuthorities(authorities: Authorities): WatchedAuthority[] {
  return [
    ...authorities.roots().map(({ id, certificate: { notBefore, notAfter } }) => ({
      id,
      kind: 'root' as const,
      notBefore,
      notAfter,
    })),
    ...authorities.all().map(({ id, certificate: { notBefore, notAfter } }) => ({
      id,
      kind: 'issuing' as const,
      notBefore,
      notAfter,
    })),
  ];
}
