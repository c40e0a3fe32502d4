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
  const restored = await recoverRestoredCopy({ store, clock }, authorities, {
    published: await readPublishedLists(publishedFolder),
    restored: said && {
      backedUpAt: said.backedUpAt,
      given: (await readRestoredLists(folder.path)).values(),
    },
  });
  // All of it is in the database now, the numbers that may not come again too.
  if (said !== undefined) await endRestored(folder.path);
  if (restored !== undefined) {
    log.error({ ...restored }, describeRestored(restored));
    await obeyRootCrls({ store, clock }, authorities.roots());
    await authorities.reload();
  }
  const published = createPublishedLists(publishedFolder, (error) => {
    log.error({ err: error }, `A CRL was not kept in ${publishedFolder}: ${messageOf(error)}`);
  });
  closeWith(() => published.close());
  const crl = await createCrlPublisher({
    store,
    feed,
    clock,
    lists: () => authorities.all().flatMap(({ crlLists }) => crlLists),
    brought: () => authorities.roots().map(({ id }) => id),
    schedule: config.service.crl,
    onPublished: (one) => {
      published.note(one);
    },
  });
  const crlFollower = await follow(crl);
  // Brokers and devices must find one from the first moment; with a wrong clock, the last one that was right.
  await crl.tick().catch((error: unknown) => {
    if (!isKeylineError(error) || error.code !== 'CLOCK_WRONG') throw error;
    log.error(error.detail);
  });
  return { responders, ocsp, crl, crlFollower };
}
