// The brokers that identities are pushed to, of targets.yaml and our own: credentials, and what becomes of their reports.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { open } from 'node:fs/promises';
import { platform } from 'node:os';
import type { TargetConfig } from '@keyline/config';
import type { FleetContext } from '@keyline/fleet';
import { assertPrivate, isKeylineError, KeylineError, messageOf } from '@keyline/kernel';
import type { LeasedFollower, RunningLeasedFollower } from '@keyline/ledger';
import { runTarget, targetKinds, type RunningTarget } from '@keyline/targets';
import type { Logger } from 'pino';
import { createPresenceRecord } from './broker-presence.ts';
import { judgeReport, judgeReports } from './broker-reports.ts';

export interface Credentials {
  /** PEM. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface BrokerTargetOptions {
  readonly fleet: FleetContext;
  /** Starts to follow the ledger; ending it is the caller's. */
  readonly follow: (follower: LeasedFollower) => Promise<RunningLeasedFollower>;
  readonly log: Logger;
}

export type BrokerTarget = RunningTarget;

export function startBrokerTarget(
  spec: Pick<TargetConfig, 'name' | 'kind' | 'url' | 'exclusive'> & {
    /** Asked for at each connection, so that a renewed certificate is used at the next. */
    readonly credentials: () => Credentials;
  },
  { fleet, follow, log }: BrokerTargetOptions,
): Promise<BrokerTarget> {
  const { store, clock, types, roles } = fleet;
  return runTarget({
    open: (events) => targetKinds[spec.kind](spec, events),
    ...{ roles, types, clock, follow, log, fleet: store, exclusive: spec.exclusive },
    presence: createPresenceRecord({ store, clock }),
    judge: (reports, target, onFailure) =>
      judgeReports(
        reports,
        (report) => judgeReport({ store, clock, types, target }, report),
        onFailure,
      ),
  });
}

/** Said when the service starts, and not by a handshake that fails somewhere else. @throws {KeylineError} CONFIG_INVALID */
function assertPair(
  name: string,
  { cert, key }: { readonly cert: string | undefined; readonly key: string | undefined },
): void {
  if (cert === undefined || key === undefined) return;
  try {
    if (new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return;
  } catch (cause) {
    throw new KeylineError(
      'CONFIG_INVALID',
      `Certificate or key of the target "${name}" (targets.yaml) can't be read as PEM: ${messageOf(cause)}.`,
      { cause },
    );
  }
  throw new KeylineError(
    'CONFIG_INVALID',
    `Certificate and key of the target "${name}" (targets.yaml) do not belong together.`,
  );
}

/** Files of a target in targets.yaml; what is left out is Keyline's own. @throws {KeylineError} FILE_UNREADABLE */
export async function loadCredentials(
  { name, ca, certificate, key }: TargetConfig,
  own: () => Credentials,
): Promise<() => Credentials> {
  const read = async (file: string | undefined, isSecret = false): Promise<string | undefined> => {
    if (file === undefined) return undefined;
    try {
      const handle = await open(file);
      try {
        if (isSecret) {
          const { mode } = await handle.stat();
          const what = `key of the target "${name}"`;
          assertPrivate({ path: file, what, mode, platform: platform() });
        }
        return await handle.readFile('utf8');
      } finally {
        await handle.close();
      }
    } catch (cause) {
      if (isKeylineError(cause)) throw cause;
      throw new KeylineError(
        'FILE_UNREADABLE',
        `The file ${file} of the target "${name}" (targets.yaml) can't be read: ${messageOf(cause)}.`,
        { cause },
      );
    }
  };
  const files = {
    ca: await read(ca),
    cert: await read(certificate),
    key: await read(key, true),
  };
  assertPair(name, files);
  return () => {
    const { ca: ownCa, cert: ownCert, key: ownKey } = own();
    return { ca: files.ca ?? ownCa, cert: files.cert ?? ownCert, key: files.key ?? ownKey };
  };
}
