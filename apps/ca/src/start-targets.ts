// The brokers that identities are pushed to: that of `keyline up`, and those of targets.yaml; each followed, and compared when it is due.
import type { OwnCertificates } from '@keyline/authorities';
import { Duration } from '@keyline/kernel';
import type { LeasedFollower, RunningLeasedFollower } from '@keyline/ledger';
import type { Logger } from 'pino';
import type { createBrokerFiles } from './broker-files.ts';
import {
  loadCredentials,
  startBrokerTarget,
  type BrokerTarget,
  type Credentials,
} from './broker-targets.ts';
import type { Issuing } from './open-issuing.ts';
import { clientCredentials } from './tls-identity.ts';

const compareCheck = Duration.seconds(1);

export async function startTargets(given: {
  readonly issuing: Issuing;
  /** With which the service administers them. */
  readonly own: OwnCertificates;
  readonly brokerFiles: ReturnType<typeof createBrokerFiles>;
  /** mqtts:// URL by which the broker of this machine is reached; absent: there is none. */
  readonly brokerInnerUrl: string | undefined;
  readonly follow: (follower: LeasedFollower) => Promise<RunningLeasedFollower>;
  readonly every: (milliseconds: number, what: string, work: () => Promise<void>) => void;
  readonly closeWith: (closer: () => Promise<void> | void) => void;
  readonly log: Logger;
}): Promise<BrokerTarget[]> {
  const { issuing, own, brokerFiles, brokerInnerUrl, follow, every, closeWith, log } = given;
  const { authorities, config, fleet } = issuing;
  brokerFiles.announceAuthorities(authorities);
  const ownCredentials = (): Credentials => {
    const credentials = clientCredentials(authorities, own);
    brokerFiles.announceAdmin(credentials.cert);
    return credentials;
  };
  // The broker may be started before it is first connected to.
  ownCredentials();
  const specs = [
    ...(brokerInnerUrl === undefined
      ? []
      : [
          {
            ...({ name: 'broker', kind: 'dynsec', url: brokerInnerUrl } as const),
            ...{ exclusive: true, credentials: ownCredentials },
          },
        ]),
    ...(await Promise.all(
      config.targets.map(async (target) => ({
        ...target,
        credentials: await loadCredentials(target, ownCredentials),
      })),
    )),
  ];
  const targets: BrokerTarget[] = [];
  for (const spec of specs) {
    const target = await startBrokerTarget(spec, { fleet, follow, log });
    targets.push(target);
    closeWith(() => target.close());
    every(compareCheck, `comparing the broker "${spec.name}" with the fleet`, () => target.tick());
  }
  return targets;
}
