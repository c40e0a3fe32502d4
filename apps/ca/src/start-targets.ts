// The brokers that identities are pushed to: that of `keyline up`, and those of targets.yaml; each followed, and compared when it is due.
import type { OwnCertificates } from '@keyline/authorities';
import { Duration } from '@keyline/kernel';
import type { LeasedFollower, RunningLeasedFollower } from '@keyline/ledger';
import type { Logger } from 'pino';
import type { createBrokerFiles } from './broker-files.ts';
import { isKeylineError } from '@keyline/kernel';
import { loadCredentials, type TargetCredentials } from '@keyline/targets';
import { startBrokerTarget, startUnusableTarget, type BrokerTarget } from './broker-targets.ts';
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
  const ownCredentials = (): TargetCredentials => {
    const credentials = clientCredentials(authorities, own);
    brokerFiles.announceAdmin(credentials.cert);
    return credentials;
  };
  // The broker may be started before it is first connected to.
  ownCredentials();
  const targets: BrokerTarget[] = [];
  const add = (target: BrokerTarget): void => {
    targets.push(target);
    closeWith(() => target.close());
    every(compareCheck, `comparing the broker "${target.name}" with the fleet`, () =>
      target.tick(),
    );
  };
  const shared = { fleet, follow, log };
  /** It stops nothing else. */
  const addUnusable = async (name: string, detail: string): Promise<void> => {
    const reason = `The broker "${name}" is told of nothing: ${detail.replace(/(?<=[^.?!])$/, '.')} Mend it ("keyline config check"), and start again.`;
    log.error({ target: name }, reason);
    add(await startUnusableTarget({ name, reason }, shared));
  };
  if (brokerInnerUrl !== undefined) {
    const spec = { name: 'broker', kind: 'dynsec', url: brokerInnerUrl } as const;
    add(await startBrokerTarget({ ...spec, exclusive: true, credentials: ownCredentials }, shared));
  }
  for (const target of config.targets) {
    let credentials;
    try {
      credentials = await loadCredentials(target, ownCredentials);
    } catch (error) {
      if (!isKeylineError(error)) throw error;
      await addUnusable(target.name, error.detail);
      continue;
    }
    add(await startBrokerTarget({ ...target, credentials }, shared));
  }
  for (const { part, name, detail } of config.mistakes) {
    if (part === 'target') await addUnusable(name, detail);
  }
  return targets;
}
