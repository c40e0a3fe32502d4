// Checks of the API: reachable, who we are to it, its clock, its certificate, ours, its brokers.
import { stat } from 'node:fs/promises';
import { X509Certificate } from 'node:crypto';
import type { ApiClient, Caller } from '@keyline/client';
import { formatDuration } from '@keyline/kernel';
import type { CliContext } from '../context.ts';
import { fail, ok, warn, type Finding } from './finding.ts';
import { judgeRemainingLife } from './remaining-life.ts';
import { probeTls } from './tls-probe.ts';

const second = 1000;

/** Reachable, who the caller is, and the difference of the clocks. */
export async function checkApi(context: CliContext, client: ApiClient): Promise<Finding[]> {
  const sentAt = context.clock.now();
  const me = await client.call('whoAmI', {});
  const receivedAt = context.clock.now();
  const { api } = client.location;
  return [
    ok('api', `${api} answers; you are ${me.name} (${me.role}, by ${me.via})`),
    judgeClock(Date.parse(me.time) - (sentAt + receivedAt) / 2, (receivedAt - sentAt) / 2),
  ];
}

/** @param doubt half the round trip, plus the second that the service's time is cut to */
function judgeClock(difference: number, doubt: number): Finding {
  const away = Math.max(0, Math.abs(difference) - doubt - second);
  const words = `this clock is ${formatDuration(away)} ${difference < 0 ? 'ahead of' : 'behind'} the service's`;
  const advice =
    'Set both clocks by NTP (timedatectl set-ntp true): certificates are judged by them.';
  if (away > 300 * second) return fail('clock', words, advice);
  if (away > 10 * second) return warn('clock', words, advice);
  return ok('clock', 'agrees with the service');
}

/** The API's own certificate. */
export async function checkApiCertificate(
  context: CliContext,
  client: ApiClient,
  caller: Caller,
): Promise<Finding[]> {
  const { api, caPem } = client.location;
  const { notBefore, notAfter, protocol } = await probeTls(api, caPem, caller);
  return [
    judgeRemainingLife({
      check: 'api certificate',
      what: `the certificate of the API (${protocol})`,
      notBefore,
      notAfter,
      now: context.clock.now(),
      advice: 'The service renews it by itself; restart "keyline up" and look at its log.',
    }),
  ];
}

/** The caller's own certificate, and who may read its key. */
export async function checkCaller(
  context: CliContext,
  client: ApiClient,
  caller: Caller,
): Promise<Finding[]> {
  if (caller.via !== 'certificate') return [];
  const certificate = new X509Certificate(caller.certificatePem);
  const findings = [
    judgeRemainingLife({
      check: 'your certificate',
      what: 'your certificate',
      notBefore: certificate.validFromDate.getTime(),
      notAfter: certificate.validToDate.getTime(),
      now: context.clock.now(),
      advice:
        'A running "keyline up" renews the certificate of its admin; others ask an admin for a new one.',
    }),
  ];
  const keyFile = client.location.endpoints?.admin.key;
  if (keyFile !== undefined) {
    const { mode } = await stat(keyFile);
    findings.push(
      (mode & 0o077) === 0
        ? ok('admin key', 'can be read by its owner only')
        : fail('admin key', `${keyFile} can be read by others`, `chmod 600 ${keyFile}`),
    );
  }
  return findings;
}

/** Whether somebody would hear of an alert. */
export async function checkAlertChannels(client: ApiClient): Promise<Finding[]> {
  const { items } = await client.call('listAlertChannels', {});
  if (items.length === 0) {
    return [
      warn('alerts', 'go nowhere', 'Give alerts.yaml a channel, or have it write to the log.'),
    ];
  }
  return items.map(({ name, lag, lastError, unreachable }) => {
    const check = `alerts to ${name}`;
    const why = unreachable ?? lastError;
    if (why === null) return ok(check, 'can be delivered');
    const waiting =
      lastError === null || lag === 0 ? '' : ` Alerts wait for it (${String(lag)} entries).`;
    return fail(check, `${why}${waiting}`, 'See channels in alerts.yaml; deliveries are repeated.');
  });
}

/** What the service itself complains of: a broker that falls behind, a disk that fills, an authority that was revoked, what ends soon. */
export async function checkAlerts(client: ApiClient): Promise<Finding[]> {
  const { items } = await client.call('listAlerts', { query: {} });
  const worth = items.filter(({ severity }) => severity !== 'info');
  if (worth.length === 0) return [ok('open alerts', 'none')];
  return worth.map(({ severity, summary, key }) =>
    (severity === 'critical' ? fail : warn)('open alerts', summary, `keyline alerts list (${key})`),
  );
}

const largeLag = 1000;

/** Whether every broker takes what it is told: this is the service's admin identity at work there. */
export async function checkTargets(client: ApiClient): Promise<Finding[]> {
  const { items } = await client.call('listTargets', {});
  if (items.length === 0) {
    return [
      warn('targets', 'no broker is configured', 'Identities are issued but no broker knows them.'),
    ];
  }
  return items.map(({ name, healthy, connection, lag, lastError }) => {
    const check = `target ${name}`;
    if (!healthy) {
      return fail(
        check,
        `the service can't administer it: ${lastError ?? 'no reason known'}`,
        lastError?.includes('keyline config check') === true
          ? 'Nothing reaches it as it is configured; everything else goes on.'
          : 'Check that the broker runs and that its admin identity is the one the service uses.',
      );
    }
    // Which it may be for some seconds before the service calls it unhealthy.
    if (connection === 'disconnected') {
      return fail(
        check,
        'the service is not connected to it',
        'Look again in some seconds: it connects by itself. Then check that the broker runs.',
      );
    }
    return lag > largeLag
      ? warn(check, `${String(lag)} changes behind`, 'It is catching up; look again in a minute.')
      : ok(check, lag === 0 ? 'knows everything' : `${String(lag)} changes behind, catching up`);
  });
}
