// The issuing CA ready to sign: configuration, database, authorities. What `install` and `serve` both begin with.
import { openAuthorities, type Authorities } from '@keyline/authorities';
import { readRestoredMarker, type RestoredMarker } from '@keyline/backup';
import { loadConfig, type KeylineConfig } from '@keyline/config';
import { obeyRootCrls, type FleetContext } from '@keyline/fleet';
import { openFeed, type Feed } from '@keyline/ledger';
import { systemClock, type Clock } from '@keyline/kernel';
import type { AuthorityKeys } from '@keyline/keys';
import type { AuthorityUrls } from '@keyline/pki';
import { openSqliteStore } from '@keyline/store';
import { createLiveAccess, type LiveAccess } from './live-access.ts';
import { caFolderOf, loadSettings, openKeys, urlsOf, type CaSettings } from './ca-folder.ts';

export interface Issuing {
  /** What changes, whoever of those that share the database changed it. */
  readonly feed: Feed;
  readonly config: KeylineConfig;
  /** Roles and types of it, which change while the service runs. */
  readonly access: LiveAccess;
  readonly keys: AuthorityKeys;
  readonly authorities: Authorities;
  /** Plain-HTTP URLs of an authority, as its leaves carry them. */
  readonly urlsOf: (authority: string) => AuthorityUrls;
  readonly fleet: FleetContext;
  readonly settings: CaSettings;
  /** What was said of a copy that nobody has acted on yet. */
  readonly restored: RestoredMarker | undefined;
  close(): Promise<void>;
}

/** @throws {KeylineError} CONFIG_INVALID, STORE_*, FILE_*, KEY_DECRYPT_FAILED, PATH_INVALID, LINT_FAILED */
export async function openIssuing(options: {
  data: string;
  config: string;
  /** Whether other services have the database open at the same time. */
  shared?: boolean | undefined;
  log?: Parameters<typeof openFeed>[0]['log'];
  clock?: Clock | undefined;
}): Promise<Issuing> {
  const { clock = systemClock, shared = false, log } = options;
  const config = await loadConfig(options.config);
  const folder = caFolderOf(options.data);
  const settings = await loadSettings(folder);
  const keys = openKeys(folder, settings);
  const restored = await readRestoredMarker(folder.path);
  const store = await openSqliteStore({
    path: folder.database,
    shared,
    isCopy: restored !== undefined,
  });
  let feed: Feed | undefined;
  const close = async (): Promise<void> => {
    feed?.close();
    await store.close();
  };
  try {
    feed = await openFeed({ store, ...(log === undefined ? {} : { log }) });
    const { profiles } = config;
    const access = createLiveAccess(options.config, config);
    const { types, roles } = access;
    const authorities = await openAuthorities({
      store,
      feed,
      profiles,
      keys,
      urlsOf: (id) => urlsOf(id, settings),
      crlShards: config.service.crl.shards,
      clock,
      requireRootCrl: config.service.authorities.requireRootCrl,
    });
    // What a CRL on record says of an authority holds from the first moment.
    await obeyRootCrls({ store, clock }, authorities.roots());
    return {
      config,
      access,
      feed,
      keys,
      settings,
      restored,
      authorities,
      urlsOf: (id) => urlsOf(id, settings),
      fleet: {
        store,
        issuer: authorities,
        clock,
        profiles,
        types,
        roles,
        renewals: config.service.renewal,
        ...config.service.devices,
        csrBytes: config.service.limits.csrBytes,
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
