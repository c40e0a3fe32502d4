// `keyline up`: makes what is missing, starts the issuing CA and the broker, keeps both running, stops both.
import { resolve } from 'node:path';
import { X509Certificate } from 'node:crypto';
import type { Endpoints } from '@keyline/api';
import { assertNotHalfRestored } from '@keyline/backup';
import { loadConfig, loadPlantConfig, type PlantConfig } from '@keyline/config';
import { createFolder, readText, readTextIfThere, removeFile, replaceFile } from '@keyline/files';
import { exitCodes, isKeylineError, messageOf } from '@keyline/kernel';
import { defaultLogBounds, untilAborted } from '@keyline/process';
import type { CliContext, JsonOption } from '../context.ts';
import { isStillGood, keepFresh, type Issuing, type KeptCertificate } from './certificates.ts';
import { Child } from './child.ts';
import { createMissing, moveIssuing, replaceAdmin } from './first-start.ts';
import { findEarlierListens } from './earlier-address.ts';
import { keepBackups } from './keep-backups.ts';
import { layoutOf, type Layout } from './layout.ts';
import { stopLeftovers } from './leftovers.ts';
import { acquireLock } from './lock.ts';
import {
  assertPortsFree,
  innerUrlsOf,
  loadPlan,
  loadPlanOf,
  namesOf,
  urlsOf,
  type Engine,
  type Plan,
} from './plan.ts';
import { defaultConfig } from './programs.ts';
import { findWebsocketPort } from './broker-options.ts';
import { brokerSpec, caSpec } from './services.ts';
import { keepRootCrl } from './root-crl.ts';
import { refreshTrust } from './trust.ts';
import { startUpkeep } from './upkeep.ts';
import { whileRestarting } from './while-restarting.ts';
import { describeReady } from './welcome.ts';

export interface UpOptions extends JsonOption {
  readonly data: string;
  readonly portApi?: number;
  readonly portHttp?: number;
  readonly portBroker?: number;
  readonly config?: string;
  readonly host?: string;
  readonly listen?: string;
  readonly broker?: Engine;
  /** Arguments for keyline-broker, as they are. */
  readonly brokerOption: readonly string[];
  /** Bytes. */
  readonly logSize?: number;
  readonly logFiles?: number;
  readonly logLevel?: string;
}

const renewalCheckEvery = 10 * 60 * 1000;
const trustCheckEvery = 10 * 1000;
const backupCheckEvery = 5 * 1000;

export async function runUp(context: CliContext, options: UpOptions): Promise<number> {
  const layout = layoutOf(resolve(context.cwd, options.data));
  await createFolder(layout.data, 0o700);
  assertNotHalfRestored(layout.data);
  const lock = acquireLock(layout.data, context.pid);
  const stop = new AbortController();
  const release = context.onStopSignal(() => {
    stop.abort();
  });
  try {
    const asked = {
      host: options.host,
      listen: options.listen,
      engine: options.broker,
      ports: { api: options.portApi, http: options.portHttp, broker: options.portBroker },
    };
    const plant = await loadPlant(layout);
    const plan =
      plant === undefined
        ? await loadPlan(layout.plan, asked)
        : await loadPlanOf(plant, {
            ...{ file: layout.plan, options: asked },
            now: context.clock.now(),
          });
    await supervise(context, { layout, plan, plant, options, signal: stop.signal });
    return exitCodes.ok;
  } catch (error) {
    // Stopped while something was still being made: the next start goes on from there.
    if (stop.signal.aborted && isAbort(error)) return exitCodes.ok;
    throw error;
  } finally {
    release();
    lock.release();
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

/** What keyline.yaml says; undefined where there is none. @throws {KeylineError} CONFIG_INVALID */
async function loadPlant({ settings }: Layout): Promise<PlantConfig | undefined> {
  if ((await readTextIfThere(settings, 'keyline.yaml')) === undefined) return undefined;
  return loadPlantConfig(settings);
}

interface Supervision {
  readonly layout: Layout;
  readonly plan: Plan;
  readonly plant: PlantConfig | undefined;
  readonly options: UpOptions;
  readonly signal: AbortSignal;
}

async function supervise(
  context: CliContext,
  { layout, plan, plant, options, signal }: Supervision,
): Promise<void> {
  const say = (text: string): void => {
    context.terminal.err(`${text}\n`);
  };
  const config =
    options.config === undefined
      ? (plant?.config ?? defaultConfig)
      : resolve(context.cwd, options.config);
  // Said here and at once: what a service finds comes with the end of its log, after attempts to start it again.
  for (const { part, name, detail } of (await loadConfig(config)).mistakes) {
    say(
      `${part === 'target' ? 'the broker' : 'the channel of alerts'} "${name}" is told of nothing until this is mended: ${detail}`,
    );
  }
  const env = environmentOf(context, options.logLevel);
  await createFolder(layout.run, 0o700);
  await stopLeftovers({
    folder: layout.run,
    data: layout.data,
    signalProcess: context.signalProcess,
    say,
  });
  const root = plant?.root ?? 'here';
  const make = (): Promise<void> => createMissing({ layout, plan, config, root, env, signal, say });
  // What is to be carried to another machine is said to whoever may not listen on these ports, too.
  if (root === 'offline') await make();
  await assertPortsFree(plan, plant && { others: plant.broker.ports });
  if (root === 'here') await make();
  await moveIssuing({ layout, plan, env, signal, say });

  const urls = urlsOf(plan);
  const metrics = `http://127.0.0.1:${String(plan.ports.metrics)}`;
  const endpoints = { ...urls, metrics, ca: layout.trust, admin: layout.admin };
  const issuing: Issuing = {
    api: innerUrlsOf(plan).api,
    http: { outer: urls.http, inner: innerUrlsOf(plan).http },
    trustFile: layout.trust,
    admin: layout.admin,
    clock: context.clock,
  };
  const children: { ca?: Child; broker?: Child } = {};
  let serving = false;
  let publishing: Promise<void> = Promise.resolve();
  const publish = (): void => {
    const ca = children.ca?.pid;
    const broker = children.broker?.pid;
    if (!serving || ca === undefined || broker === undefined) return;
    const text = `${JSON.stringify(endpointsFile(endpoints, { ca, broker }), null, 2)}\n`;
    publishing = publishing
      .then(async () => {
        await replaceFile(layout.endpoints, text);
      })
      .catch((error: unknown) => {
        say(`could not write ${layout.endpoints}: ${messageOf(error)}`);
      });
  };
  const shared = {
    ...{ layout, plan, env, say, onReady: publish },
    logBounds: {
      fileBytes: options.logSize ?? plant?.logs.fileBytes ?? defaultLogBounds.fileBytes,
      files: options.logFiles ?? plant?.logs.files ?? defaultLogBounds.files,
    },
    now: () => context.clock.now(),
  };
  const brokerArgs = [...(plant?.broker.args ?? []), ...options.brokerOption];
  children.ca = new Child(
    caSpec({
      ...{ ...shared, config, tlsVersion: plant?.apiTlsVersion },
      alsoListen: await findEarlierListens(plan, say),
      websocketPort: findWebsocketPort(brokerArgs),
    }),
  );
  const before = await readAdmin(layout);
  if (before === undefined || !(await isStillGood(before, context.clock))) {
    // After months off, with a clock that was wrong, or damaged: it could renew nothing, not even itself.
    await replaceAdmin({ layout, config, env, signal });
    say('made a new admin certificate, because the one there was not valid now');
  }
  const admin = before ?? (await readAdmin(layout)) ?? adminCertificate(layout, 'admin@keyline');
  children.broker = new Child(
    brokerSpec({
      ...{ ...shared, config, admin: admin.request.name },
      more: brokerArgs,
    }),
  );
  let stopUpkeep = (): void => undefined;
  // A start that is waited for has to be let go of; later the order of the end is the finally's.
  const abandonStart = (): void => {
    if (serving) return;
    void children.ca?.stop();
    void children.broker?.stop();
  };
  signal.addEventListener('abort', abandonStart, { once: true });
  try {
    await removeFile(layout.endpoints);
    await children.ca.start();
    signal.throwIfAborted();
    const kept = [admin, brokerCertificate(layout, plan)];
    // The issuing CA may die in between, and is then started again.
    for (const certificate of kept) {
      await whileRestarting(() => refresh(certificate, issuing, say), { signal, say });
    }
    // Where no authority issues any more, an administrator must still find the service.
    await whileRestarting(() => refreshTrust(layout, issuing, []), { signal, say });
    await children.broker.start();
    signal.throwIfAborted();
    stopUpkeep = startUpkeep(
      [
        {
          what: 'look for new authorities',
          everyMilliseconds: trustCheckEvery,
          run: () => refreshTrust(layout, issuing, kept),
        },
        {
          what: "renew the root's CRL",
          everyMilliseconds: renewalCheckEvery,
          run: () => keepRootCrl({ layout, env, signal }, issuing),
        },
        {
          what: 'make a backup',
          everyMilliseconds: backupCheckEvery,
          run: () =>
            keepBackups({
              ...{ layout, config, env, signal },
              backup: plant?.backup,
              clock: context.clock,
            }),
        },
        ...kept.map((certificate) => ({
          what: `renew ${certificate.what}`,
          everyMilliseconds: renewalCheckEvery,
          run: () => keepFresh(certificate, issuing),
        })),
      ],
      say,
    );
    serving = true;
    const ready = endpointsFile(endpoints, {
      ca: children.ca.pid ?? 0,
      broker: children.broker.pid ?? 0,
    });
    await replaceFile(layout.endpoints, `${JSON.stringify(ready, null, 2)}\n`);
    if (options.json === true) context.terminal.out(`${JSON.stringify(ready)}\n`);
    else
      context.terminal.out(
        describeReady(ready, { data: options.data, logs: layout.logs, cwd: context.cwd }),
      );
    await untilAborted(signal);
    say('stopping…');
  } finally {
    serving = false;
    stopUpkeep();
    // Whatever a disk refuses: no service outlives this one.
    try {
      // First, so that nobody finds a service that is on its way out.
      await publishing;
      await removeFile(layout.endpoints);
    } finally {
      // The broker first: its devices go while the CA that judges them still answers.
      try {
        await children.broker.stop();
      } finally {
        await children.ca.stop();
      }
    }
  }
  say('stopped.');
}

function endpointsFile(
  { admin, ...rest }: Omit<Endpoints, 'pids'>,
  pids: NonNullable<Endpoints['pids']>,
): Endpoints {
  return { ...rest, admin: { certificate: admin.certificate, key: admin.key }, pids };
}

/** The API token of a caller is no business of the services. */
function environmentOf(context: CliContext, logLevel: string | undefined): NodeJS.ProcessEnv {
  const { KEYLINE_TOKEN: _token, ...env } = context.env;
  return logLevel === undefined ? env : { ...env, KEYLINE_LOG_LEVEL: logLevel };
}

function brokerCertificate(layout: Layout, plan: Plan): KeptCertificate {
  return {
    what: 'the certificate of the broker',
    certificateFile: layout.broker.certificate,
    keyFile: layout.broker.key,
    request: { profile: 'broker-server', name: 'broker@keyline', ...namesOf(plan) },
  };
}

/** Undefined when its file is no certificate. */
async function readAdmin(layout: Layout): Promise<KeptCertificate | undefined> {
  const pem = await readText(layout.admin.certificate, 'the admin certificate');
  try {
    const name = new X509Certificate(pem).toLegacyObject().subject.CN;
    return adminCertificate(layout, (Array.isArray(name) ? name[0] : name) ?? 'admin');
  } catch {
    return undefined; // another is made in its place
  }
}

function adminCertificate({ admin }: Layout, name: string): KeptCertificate {
  return {
    what: 'the admin certificate',
    certificateFile: admin.certificate,
    keyFile: admin.key,
    request: { profile: 'admin', name },
  };
}

/** At the start a certificate that can't be renewed stops the start only when it has ended. */
async function refresh(
  kept: KeptCertificate,
  issuing: Issuing,
  say: (text: string) => void,
): Promise<void> {
  try {
    const done = await keepFresh(kept, issuing);
    if (done !== undefined) say(done);
  } catch (error) {
    if (!isKeylineError(error) || !(await isStillGood(kept, issuing.clock))) throw error;
    say(`could not renew ${kept.what}, will try again: ${error.detail}`);
  }
}
