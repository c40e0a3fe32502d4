// Issuing authorities: look at them, add one, give it its certificate, make it the issuer of profiles, retire one; and their roots' CRLs.
import type { AuthorityList, AuthorityView } from '@keyline/api';
import type { RunningAuthority } from '@keyline/authorities';
import {
  activateAuthority,
  addAuthority,
  importRootCrl,
  installAuthority,
  retireAuthority,
  type Crl,
} from '@keyline/fleet';
import { formatInstant, KeylineError } from '@keyline/kernel';
import { decodePem, decodePemChain, type ParsedCertificate } from '@keyline/x509';
import { parseKeyAlgorithm } from '../key-algorithm.ts';
import { assertOwnKey } from '../own-key.ts';
import { requireCaller, type ServiceContext } from '../service-context.ts';
import { certificatePem } from '../views.ts';
import type { Register } from './register.ts';

export function registerAuthorities(register: Register, service: ServiceContext): void {
  const { fleet, authorities, keys, crl, second } = service;

  async function view(running: RunningAuthority): Promise<AuthorityView> {
    const { id, state, revocation, certificate, authority } = running;
    // It reads every certificate of the authority: asked for where it matters, at the end of a retired one.
    const lastEnd = state === 'retired' ? await fleet.store.findLastEnd(id) : undefined;
    return {
      ...viewCertificateOf(certificate),
      id,
      role: 'issuing',
      state,
      revokedAt: revocation === undefined ? null : formatInstant(revocation.revokedAt),
      reason: revocation?.reason ?? null,
      profiles: [...authorities.profilesOf(id)],
      lastLeafEnds: lastEnd === undefined ? null : formatInstant(lastEnd),
      crl: viewCrl(crl.latest(id, 'complete'), authority.urls.crl),
    };
  }

  function viewRoot({ id, certificate }: { id: string; certificate: ParsedCertificate }) {
    return {
      ...viewCertificateOf(certificate),
      id,
      role: 'root' as const,
      state: 'ready' as const,
      revokedAt: null,
      reason: null,
      profiles: [],
      lastLeafEnds: null,
      crl: viewCrl(crl.latest(id, 'complete'), service.rootCrlUrl(id)),
    };
  }

  register('listAuthorities', async () => {
    const pending: AuthorityList['pending'] = [];
    for (const { id, state, createdAt } of await fleet.store.listAuthorities()) {
      if (state !== 'pending') continue;
      pending.push({ id, csr: await keys.loadCsr(id), createdAt: formatInstant(createdAt) });
    }
    return {
      items: [
        ...authorities.roots().map(viewRoot),
        ...(await Promise.all(authorities.all().map(view))),
      ],
      pending,
      nextCursor: null,
    };
  });

  register('addAuthority', async ({ body, request }) => {
    const { id } = body;
    const algorithm = parseKeyAlgorithm(body.algorithm ?? 'ec-p256');
    const commonName = body.commonName ?? `Keyline Issuing CA ${id}`;
    const known = await fleet.store.listAuthorities();
    if (known.some((authority) => authority.id === id)) {
      // Before any file is written: the CSR of the one that stands must stay as it is.
      throw new KeylineError(
        'AUTHORITY_EXISTS',
        `There is an authority "${id}" already. Choose another id.`,
      );
    }
    // The key first: what is recorded must be there. One that was left by a crash is taken up again.
    const csr = await keys.create({ id, commonName, algorithm });
    const added = await addAuthority(fleet, { caller: requireCaller(request.caller), id });
    return { id, csr, createdAt: formatInstant(added.createdAt) };
  });

  const install = second.guard({
    action: 'installAuthority',
    describe: ({ id }: { id: string }) => `install ${id}`,
    async work(caller, given: { id: string; certificate: string; root: string }) {
      const certificate = decodePem(given.certificate, 'CERTIFICATE');
      const root = decodePem(given.root, 'CERTIFICATE');
      await assertOwnKey(keys, given.id, certificate);
      // Before it is on record: a service that could not open one of its authorities would not start again.
      await authorities.assertUsable(given.id, certificate);
      await installAuthority(fleet, {
        caller,
        id: given.id,
        certificate,
        root,
        roots: authorities.roots(),
      });
      await service.authoritiesChanged();
      return view(authorities.get(given.id));
    },
  });
  register('installAuthority', ({ params, body, request }) =>
    install(requireCaller(request.caller), { id: params.id, ...body }),
  );

  const activate = second.guard({
    action: 'activateAuthority',
    describe: ({ id, profiles }: { id: string; profiles?: readonly string[] | undefined }) =>
      `activate ${id} for ${profiles?.join(', ') ?? 'all profiles'}`,
    async work(caller, { id, profiles }) {
      await activateAuthority(fleet, { caller, id, profiles });
      await service.authoritiesChanged();
      return view(authorities.get(id));
    },
  });
  register('activateAuthority', ({ params, body, request }) =>
    activate(requireCaller(request.caller), { id: params.id, profiles: body.profiles }),
  );

  register('importRootCrl', async ({ body, request }) => {
    const crlDer = decodePem(body.crl, ['X509 CRL', 'CRL']);
    const answers = body.ocsp === undefined ? [] : decodePemChain(body.ocsp, 'OCSP RESPONSE');
    const imported = await importRootCrl(fleet, {
      caller: requireCaller(request.caller),
      crl: crlDer,
      answers,
      roots: authorities.roots(),
    });
    crl.imported(imported);
    await service.authoritiesChanged();
    const view = viewCrl(imported, service.rootCrlUrl(imported.list));
    return { authority: imported.list, ...view, revoked: [...imported.revoked] };
  });

  const retire = second.guard({
    action: 'retireAuthority',
    describe: ({ id }: { id: string }) => `retire ${id}`,
    async work(caller, { id }) {
      await retireAuthority(fleet, { caller, id, issues: authorities.profilesOf(id) });
      await service.authoritiesChanged();
      return view(authorities.get(id));
    },
  });
  register('retireAuthority', ({ params, request }) =>
    retire(requireCaller(request.caller), { id: params.id }),
  );
}

function viewCertificateOf(
  certificate: ParsedCertificate,
): Pick<AuthorityView, 'subject' | 'serial' | 'notBefore' | 'notAfter' | 'certificate'> {
  return {
    subject: certificate.commonName ?? '',
    serial: certificate.serial,
    notBefore: formatInstant(certificate.notBefore),
    notAfter: formatInstant(certificate.notAfter),
    certificate: certificatePem(certificate.der),
  };
}

function viewCrl(latest: Crl, url: string): NonNullable<AuthorityView['crl']>;
function viewCrl(latest: Crl | undefined, url: string): AuthorityView['crl'];
function viewCrl(latest: Crl | undefined, url: string): AuthorityView['crl'] {
  if (latest === undefined) return null;
  return {
    url,
    number: latest.number,
    thisUpdate: formatInstant(latest.thisUpdate),
    nextUpdate: formatInstant(latest.nextUpdate),
  };
}
