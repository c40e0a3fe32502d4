// `keyline doctor`: every check, whatever the others said, and one verdict.
import type { AuthorityList } from '@keyline/api';
import { type ApiClient, type Caller, createClient } from '@keyline/client';
import { findCaller, chooseService } from '../find-service.ts';
import { escapeLine, exitCodes, isKeylineError, messageOf } from '@keyline/kernel';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { checkAddresses } from './address-checks.ts';
import { checkBackups } from './backup-check.ts';
import { checkEngine } from './engine-check.ts';
import { checkFiles } from './file-checks.ts';
import { fail, ok, warn, type Finding } from './finding.ts';
import { checkOpenFileLimit } from './machine-checks.ts';
import { checkAuthority, checkCrl, checkOcsp, checkPlainHttp } from './revocation-checks.ts';
import { judgeRemainingLife } from './remaining-life.ts';
import {
  checkAlertChannels,
  checkAlerts,
  checkApi,
  checkApiCertificate,
  checkCaller,
  checkTargets,
} from './service-checks.ts';
import { probeTls } from './tls-probe.ts';

/** @returns 0 when nothing failed, else 1; warnings do not fail. */
export async function runDoctor(context: CliContext, options: ClientOptions): Promise<number> {
  const findings: Finding[] = [];
  const print = (found: readonly Finding[]): void => {
    findings.push(...found);
    if (options.json !== true)
      found.forEach((finding) => {
        context.terminal.out(formatFinding(finding));
      });
  };
  await examine(context, options, print);
  const failed = findings.filter(({ level }) => level === 'fail').length;
  const warned = findings.filter(({ level }) => level === 'warn').length;
  if (options.json === true) printJson(context, { ok: failed === 0, failed, warned, findings });
  else {
    context.terminal.out(`\n${verdictOf(failed, warned)}.\n`);
  }
  return failed === 0 ? exitCodes.ok : exitCodes.internal;
}

/** All is well when there is nothing to do. */
function verdictOf(failed: number, warned: number): string {
  if (failed + warned === 0) return 'All is well';
  const toDo = warned === 0 ? '' : `, ${String(warned)} to look at`;
  return `${failed === 0 ? 'Nothing failed' : `${String(failed)} failed`}${toDo}`;
}

/** Milliseconds: who asks what is wrong does not want to wait half a minute for each answer. */
const patience = 5000;

async function examine(
  context: CliContext,
  options: ClientOptions,
  print: (found: readonly Finding[]) => void,
): Promise<void> {
  let client: ApiClient;
  let caller: Caller;
  try {
    const chosen = await chooseService(context, options);
    caller = await findCaller(context, options, chosen);
    client = createClient(chosen.location, caller, { timeout: patience });
  } catch (error) {
    print([failed('service', error)]);
    return;
  }
  const attempt = async (check: string, run: () => Promise<readonly Finding[]>): Promise<void> => {
    try {
      print(await run());
    } catch (error) {
      print([failed(check, error)]);
    }
  };
  // One that does not answer is waited for once.
  let isAway = false;
  const ask = async (check: string, run: () => Promise<readonly Finding[]>): Promise<void> => {
    if (isAway) return;
    await attempt(check, async () => {
      try {
        return await run();
      } catch (error) {
        isAway = isKeylineError(error) && error.code === 'SERVICE_UNREACHABLE';
        throw error;
      }
    });
  };
  const { endpoints } = client.location;
  try {
    await ask('api', () => checkApi(context, client));
    await attempt('api certificate', () => checkApiCertificate(context, client, caller));
    await attempt('your certificate', () => checkCaller(context, client, caller));
    let authorities: AuthorityList['items'] = [];
    await ask('authorities', async () => {
      ({ items: authorities } = await client.call('listAuthorities', {}));
      return authorities.map((authority) => checkAuthority(authority, context.clock.now()));
    });
    const http = endpoints?.http ?? originOfCrl(authorities);
    if (http !== undefined) {
      await attempt('http', () => checkPlainHttp(http));
      for (const authority of authorities) {
        await attempt(`crl ${authority.id}`, async () => [
          await checkCrl(authority, context.clock),
        ]);
      }
      // Whose the certificate is, nobody said where the service did not answer.
      if (authorities.length > 0) await attempt('ocsp', () => checkOcsp(http, caller, authorities));
    }
    await ask('earlier address', () => checkAddresses(client, context.clock.now()));
    await attempt('broker', () => checkBroker(context, client, caller));
    await attempt('broker engine', () => checkEngine(endpoints?.metrics));
    await ask('targets', () => checkTargets(client));
    await ask('open alerts', () => checkAlerts(client));
    await ask('alerts', () => checkAlertChannels(client));
    await attempt('backups', () =>
      Promise.resolve(checkBackups(client.location, context.clock.now())),
    );
    await attempt('files', () => checkFiles(client.location));
    await attempt('open files', () => checkOpenFileLimit(endpoints?.pids));
  } finally {
    client.close();
  }
}

/** Its TLS listener, as a client with a certificate meets it. */
async function checkBroker(
  context: CliContext,
  client: ApiClient,
  caller: Caller,
): Promise<Finding[]> {
  const { endpoints, caPem } = client.location;
  if (endpoints === undefined) {
    return [
      warn(
        'broker',
        'its address is not known',
        'Use the endpoints.json of "keyline up" (--endpoints).',
      ),
    ];
  }
  const { notBefore, notAfter, protocol, accepted } = await probeTls(
    endpoints.broker,
    caPem,
    caller,
  );
  const certificate = judgeRemainingLife({
    check: 'broker certificate',
    what: 'the certificate of the broker',
    notBefore,
    notAfter,
    now: context.clock.now(),
    advice: 'A running "keyline up" renews it; see why it did not.',
  });
  return [
    accepted || caller.via !== 'certificate'
      ? ok('broker', `${endpoints.broker} answers (${protocol})`)
      : fail(
          'broker',
          `${endpoints.broker} refuses your certificate in the handshake`,
          'Check the CA bundle and the CRL of the broker; look at its log.',
        ),
    certificate,
  ];
}

function originOfCrl(authorities: AuthorityList['items']): string | undefined {
  const url = authorities.find(({ crl }) => crl !== null)?.crl?.url;
  return url === undefined ? undefined : URL.parse(url)?.origin;
}

function failed(check: string, error: unknown): Finding {
  if (!isKeylineError(error)) return fail(check, messageOf(error), 'This is a defect: report it.');
  return { check, level: 'fail', message: error.detail };
}

function formatFinding({ check, level, message, advice }: Finding): string {
  const line = `${level.padEnd(4)}  ${check.padEnd(18)}  ${escapeLine(message)}\n`;
  return advice === undefined ? line : `${line}${' '.repeat(26)}→ ${advice}\n`;
}
