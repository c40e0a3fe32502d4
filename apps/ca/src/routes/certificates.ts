// Certificates by serial, and certificates for what is not a device.
import type { CertificateView, IssueCertificateRequest } from '@keyline/api';
import {
  getCertificate,
  issueCertificate,
  revokeCertificate,
  type Certificate,
} from '@keyline/fleet';
import { formatInstant, KeylineError, parseSerialHex } from '@keyline/kernel';
import { parseCertificateId, suggestedWindowOf } from '@keyline/pki';
import { equalBytes } from '@keyline/x509';
import { sendCertificate } from '../certificate-form.ts';
import { instantOf } from '../identity-answers.ts';
import { pageOf } from '../page-of.ts';
import { requireCaller, type ServiceContext } from '../service-context.ts';
import { validityOf } from '../validity-of.ts';
import { certificatePem, optionalInstant } from '../views.ts';
import type { Register } from './register.ts';

const askAgainAfterSeconds = 6 * 3600;
const empty = new Uint8Array();

export function registerCertificates(register: Register, service: ServiceContext): void {
  const { fleet, effects, limits } = service;

  const issue = service.second.guard({
    action: 'issueCertificate',
    describe: ({ profile, name }: IssueCertificateRequest) =>
      `issue a certificate of the profile ${profile} to ${name}`,
    // Whoever makes administrators could be two of them; one's own renewal makes none.
    needsTwo: ({ name }, asked) =>
      fleet.profiles.get(asked.profile)?.apiRole === 'admin' && asked.name !== name,
    async work(caller, asked) {
      const certificate = await issueCertificate(fleet, {
        ...{ caller, profile: asked.profile, name: asked.name, csr: asked.csr },
        dnsNames: asked.dnsNames,
        ipAddresses: asked.ipAddresses,
        validity: validityOf(asked.validity),
      });
      return {
        serial: certificate.serial,
        notAfter: formatInstant(certificate.notAfter),
        certificate: certificatePem(certificate.der),
        chain: [service.authorities.get(certificate.authority).pem],
      };
    },
  });
  register('issueCertificate', async ({ body, request, reply }) => {
    const issued = await issue(requireCaller(request.caller), body);
    return sendCertificate({ request, reply }, issued) ?? issued;
  });

  register('listCertificates', async ({ query }) => {
    const { kind, q, expiresBefore } = query;
    const page = await fleet.store.listNamedCertificates({
      ...{ kind, q },
      expiresBefore: expiresBefore === undefined ? undefined : instantOf(expiresBefore),
      ...pageOf(query, limits),
    });
    return { items: page.items.map(viewCertificate), nextCursor: page.nextCursor };
  });

  register('getCertificate', async ({ params, request, reply }) => {
    const certificate = await getCertificate(fleet, parseSerialHex(params.serial));
    const view = viewCertificate(certificate);
    const chain = [service.authorities.get(certificate.authority).pem];
    return sendCertificate({ request, reply }, { certificate: view.certificate, chain }) ?? view;
  });

  register('renewalInfo', async ({ params, reply }) => {
    const { authorityKeyId, serial } = parseCertificateId(params.id);
    const certificate = await getCertificate(fleet, serial);
    const issuer = service.authorities.get(certificate.authority).certificate;
    const profile = fleet.profiles.get(certificate.profile);
    // A serial says nothing without its issuer.
    if (!equalBytes(issuer.subjectKeyId ?? empty, authorityKeyId) || profile === undefined) {
      throw new KeylineError(
        'CERTIFICATE_NOT_FOUND',
        'No certificate with this identifier was issued here.',
      );
    }
    const { start, end } = suggestedWindowOf(profile, certificate);
    // RFC 9773 §4.3: ask again now and then, because a revocation moves the window.
    void reply.header('retry-after', String(askAgainAfterSeconds));
    return { suggestedWindow: { start: formatInstant(start), end: formatInstant(end) } };
  });

  register('revokeCertificate', async ({ params, body, request }) => {
    const { certificate, entry } = await revokeCertificate(fleet, {
      caller: requireCaller(request.caller),
      serial: parseSerialHex(params.serial),
      reason: body.reason,
    });
    await (body.wait === true
      ? effects.waitForAll(entry.seq, limits.effectWait, certificate.serial)
      : effects.waitForHealthy(entry.seq, limits.provisionWait));
    return {
      certificate: viewCertificate(certificate),
      evidence: await effects.evidence({
        entry,
        device: certificate.owner,
        serial: certificate.serial,
      }),
    };
  });
}

export function viewCertificate(certificate: Certificate): CertificateView {
  return {
    serial: certificate.serial,
    owner: certificate.owner,
    kind: certificate.kind,
    profile: certificate.profile,
    authority: certificate.authority,
    state: certificate.state,
    notBefore: formatInstant(certificate.notBefore),
    notAfter: formatInstant(certificate.notAfter),
    revokedAt: optionalInstant(certificate.revokedAt),
    reason: certificate.reason,
    certificate: certificatePem(certificate.der),
  };
}
