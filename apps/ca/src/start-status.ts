// What relying parties are told: CRLs on schedule, OCSP, and an older copy of the database found out before either says anything.
import { endRestored, readRestoredLists } from '@keyline/backup';
import { obeyRootCrls } from '@keyline/fleet';
import { isKeylineError, messageOf } from '@keyline/kernel';
import type { LeasedFollower, RunningLeasedFollower } from '@keyline/ledger';
import {
  createCrlPublisher,
  createOcspService,
  createPublishedLists,
  createResponders,
  describeRestored,
  readPublishedLists,
  recoverRestoredCopy,
  type CrlPublisher,
  type OcspService,
} from '@keyline/status';
import type { Logger } from 'pino';
import { caFolderOf, publishedFolderOf } from './ca-folder.ts';
import type { Issuing } from './open-issuing.ts';

/** More than any service publishes between a backup and its loss (RFC 5280 §5.2.3: a number is never used twice). */
const numbersLeftOut = 2 ** 32;

export interface RunningStatus {
  readonly responders: Awaited<ReturnType<typeof createResponders>>;
  readonly ocsp: OcspService;
  readonly crl: CrlPublisher;
  readonly crlFollower: RunningLeasedFollower;
}

export async function startStatus(given: {
  readonly issuing: Issuing;
  readonly data: string;
  readonly follow: (follower: LeasedFollower) => Promise<RunningLeasedFollower>;
  readonly closeWith: (closer: () => Promise<void> | void) => void;
  readonly log: Logger;
}): Promise<RunningStatus> {
  const { issuing, follow, closeWith, log } = given;
  const { feed, fleet, authorities, config } = issuing;
  const { store, clock } = fleet;
  const responders = await createResponders(fleet, authorities);
  const ocsp = createOcspService({
    store,
    feed,
    standsOn: authorities.view,
    clock,
    responders: () => responders.list(),
    revocationOf: (id) => authorities.revocationOf(id),
    rootAnswer: (certId) => authorities.rootAnswer(certId),
    validity: config.service.ocsp.validity,
  });
  const folder = caFolderOf(given.data);
  const publishedFolder = publishedFolderOf(folder);
  const said = issuing.restored;
  const restored = await recoverRestoredCopy(
    { store, clock },
    authorities,
    await readPublishedLists(publishedFolder),
    said && {
      backedUpAt: said.backedUpAt,
      lists: [...(await readRestoredLists(folder.path)).values()],
    },
  );
  if (restored !== undefined) {
    log.error({ ...restored }, describeRestored(restored));
    await obeyRootCrls({ store, clock }, authorities.roots());
    await authorities.reload();
  }
  const published = createPublishedLists(publishedFolder, (error) => {
    log.error({ err: error }, `A CRL was not kept in ${publishedFolder}: ${messageOf(error)}`);
  });
  closeWith(() => published.close());
  // How many were published after the copy was made, nobody may know.
  const above = new Map<string, number>();
  if (said !== undefined) {
    for (const { name } of authorities.all().flatMap(({ crlLists }) => crlLists)) {
      const known = [
        said.crlNumbers[name] ?? 0,
        (await store.findLatestCrl(name, 'complete'))?.number ?? 0,
        (await store.findLatestCrl(name, 'delta'))?.number ?? 0,
      ];
      above.set(name, Math.max(...known) + numbersLeftOut);
    }
  }
  /** The word is taken away when every list has been published with a number that none had before. */
  const settle = async (list: string, number: number): Promise<void> => {
    const least = above.get(list);
    if (least === undefined || number <= least) return;
    above.delete(list);
    if (above.size === 0) await endRestored(folder.path);
  };
  const crl = await createCrlPublisher({
    store,
    feed,
    clock,
    lists: () => authorities.all().flatMap(({ crlLists }) => crlLists),
    brought: () => authorities.roots().map(({ id }) => id),
    schedule: config.service.crl,
    onPublished: (one) => {
      published.note(one);
      if (above.size === 0) return;
      settle(one.list, one.number).catch((error: unknown) => {
        log.error(
          { err: error },
          `${folder.path} still says that it is a copy: the next start begins anew with that.`,
        );
      });
    },
    above: (list) => above.get(list) ?? 0,
  });
  const crlFollower = await follow(crl);
  // Brokers and devices must find one from the first moment; with a wrong clock, the last one that was right.
  await crl.tick().catch((error: unknown) => {
    if (!isKeylineError(error) || error.code !== 'CLOCK_WRONG') throw error;
    log.error(error.detail);
  });
  return { responders, ocsp, crl, crlFollower };
}
