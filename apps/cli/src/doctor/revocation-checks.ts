// Checks of what relying parties depend on: plain HTTP, CRLs, OCSP, and the authorities themselves.
import type { AuthorityList } from '@keyline/api';
import { type Caller, encodeOcspQuestion, fetchPlain, parseOcspStatus } from '@keyline/client';
import { formatDuration, type Clock } from '@keyline/kernel';
import { decodePem, decodePemChain, parseCertificate, parseCrl } from '@keyline/x509';
import { fail, ok, warn, type Finding } from './finding.ts';
import { judgeRemainingLife } from './remaining-life.ts';

type AuthorityView = AuthorityList['items'][number];

const restart =
  'Start "keyline up", or see why the plain-HTTP listener is not reachable from here.';

/** The plain listener, by the trust bundle it gives to anybody. */
export async function checkPlainHttp(http: string): Promise<Finding[]> {
  const url = `${http.replace(/\/+$/, '')}/v1/trust-bundle`;
  const { status, bytes } = await fetchPlain(url);
  if (status !== 200)
    return [fail('http', `${url} answers with status ${String(status)}`, restart)];
  const count = decodePemChain(bytes.toString('utf8')).length;
  return [
    ok(
      'http',
      `${http} answers; the trust bundle has ${String(count)} certificate${count === 1 ? '' : 's'}`,
    ),
  ];
}

export function checkAuthority(authority: AuthorityView, now: number): Finding {
  if (authority.state === 'revoked') {
    return fail(
      `authority ${authority.id}`,
      `its root revoked it at ${authority.revokedAt ?? 'some time'} (${authority.reason ?? 'unspecified'}): nothing that it issued is accepted`,
      'Add, install and activate another (keyline ca add), and enroll its devices anew.',
    );
  }
  return judgeRemainingLife({
    check: `authority ${authority.id}`,
    what: `the ${authority.role} certificate`,
    notBefore: Date.parse(authority.notBefore),
    notAfter: Date.parse(authority.notAfter),
    now,
    advice:
      authority.role === 'root'
        ? 'Plan a new root: every device must learn it before this one ends.'
        : 'Sign a new intermediate with keyline-root before it ends.',
  });
}

/** Fetched as a broker fetches it: reachable, well-formed, not past its end. */
export async function checkCrl(authority: AuthorityView, clock: Clock): Promise<Finding> {
  const check = `crl ${authority.id}`;
  const { crl } = authority;
  if (crl === null) {
    return authority.role === 'root'
      ? warn(
          check,
          'none was ever brought: whether the root revoked an authority is not known',
          'Make one with keyline-root crl, and bring it with keyline ca root-crl.',
        )
      : fail(check, 'none was published yet', 'Look at the log of the service.');
  }
  const { status, bytes } = await fetchPlain(crl.url);
  if (status !== 200)
    return fail(check, `${crl.url} answers with status ${String(status)}`, restart);
  const { number, nextUpdate, thisUpdate, entries } = parseCrl(bytes);
  const now = clock.now();
  const words = `number ${String(number)}, ${String(entries.length)} revoked`;
  if (nextUpdate <= now) {
    return fail(
      check,
      `${words}, stale for ${formatDuration(now - nextUpdate)}: brokers refuse every device`,
      'Look at the log of the service; it publishes on a schedule and on every revocation.',
    );
  }
  const left = (nextUpdate - now) / (nextUpdate - thisUpdate);
  return left < 0.2
    ? warn(
        check,
        `${words}, good for ${formatDuration(nextUpdate - now)} only`,
        'It should have been renewed by now; look at the log of the service.',
      )
    : ok(check, `${words}, good for ${formatDuration(nextUpdate - now)}`);
}

/** Asks for the caller's own certificate, which must be good. */
export async function checkOcsp(
  http: string,
  caller: Caller,
  authorities: readonly AuthorityView[],
): Promise<Finding[]> {
  if (caller.via !== 'certificate') {
    return [
      warn(
        'ocsp',
        'not asked',
        'Call with a certificate (--cert, --key): its status is what is asked for.',
      ),
    ];
  }
  const [leafDer] = decodePemChain(caller.certificatePem);
  if (leafDer === undefined) return [];
  const leaf = parseCertificate(leafDer);
  const issuer = authorities
    .map(({ certificate }) => parseCertificate(decodePem(certificate, 'CERTIFICATE')))
    .find(({ subjectDer }) => Buffer.compare(subjectDer, leaf.issuerDer) === 0);
  if (issuer === undefined) {
    return [
      fail(
        'ocsp',
        'your certificate is not from an authority of this service',
        'Use one that was issued here.',
      ),
    ];
  }
  const url = leaf.ocspUrls[0] ?? `${http.replace(/\/+$/, '')}/ocsp`;
  const { status, bytes } = await fetchPlain(url, {
    type: 'application/ocsp-request',
    bytes: encodeOcspQuestion(leaf, issuer),
  });
  if (status !== 200)
    return [fail('ocsp', `${url} answers with status ${String(status)}`, restart)];
  const answer = parseOcspStatus(bytes);
  return [
    answer === 'good'
      ? ok('ocsp', `${url} says your certificate is good`)
      : fail(
          'ocsp',
          `${url} says "${answer}" of your certificate`,
          'Look at the log of the service.',
        ),
  ];
}
