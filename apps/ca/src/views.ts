// Rows as the API shows them.
import type { AlertView, BatchView, CertificateView, DeviceView, TokenView } from '@keyline/api';
import type { Alert, ApiToken, Batch, Certificate, Device, EnrollmentToken } from '@keyline/fleet';
import { formatInstant, type Instant } from '@keyline/kernel';
import { encodePem } from '@keyline/x509';

function optionalInstant(instant: Instant | null): string | null {
  return instant === null ? null : formatInstant(instant);
}

export function viewDevice(device: Device): DeviceView {
  return {
    id: device.id,
    type: device.type,
    batch: device.batch,
    labels: { ...device.labels },
    state: device.state,
    serial: device.serial,
    notAfter: optionalInstant(device.notAfter),
    createdAt: formatInstant(device.createdAt),
    updatedAt: formatInstant(device.updatedAt),
  };
}

export function certificatePem(der: Uint8Array): string {
  return encodePem('CERTIFICATE', der);
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

export function viewEnrollmentToken(token: EnrollmentToken): TokenView {
  return {
    id: token.id,
    use: 'enroll',
    description: token.description,
    expiresAt: formatInstant(token.expiresAt),
    createdAt: formatInstant(token.createdAt),
    createdBy: token.createdBy,
    revokedAt: optionalInstant(token.revokedAt),
    type: token.type,
    idPattern: token.idPattern,
    maxUses: token.maxUses,
    uses: token.uses,
    labels: { ...token.labels },
  };
}

export function viewApiToken(token: ApiToken): TokenView {
  return {
    id: token.id,
    use: 'api',
    description: token.description,
    expiresAt: formatInstant(token.expiresAt),
    createdAt: formatInstant(token.createdAt),
    createdBy: token.createdBy,
    revokedAt: optionalInstant(token.revokedAt),
    role: token.role,
  };
}

export function viewBatch(batch: Batch): BatchView {
  return {
    id: batch.id,
    type: batch.type,
    quota: batch.quota,
    issued: batch.issued,
    idPattern: batch.idPattern,
    stations: [...batch.stations],
    labels: { ...batch.labels },
    rework: batch.rework,
    state: batch.state,
    endsAt: formatInstant(batch.endsAt),
    createdAt: formatInstant(batch.createdAt),
    createdBy: batch.createdBy,
  };
}

export function viewAlert(alert: Alert): AlertView {
  return {
    key: alert.key,
    severity: alert.severity,
    summary: alert.summary,
    count: alert.count,
    examples: [...alert.examples],
    firstAt: formatInstant(alert.firstAt),
    lastAt: formatInstant(alert.lastAt),
    resolvedAt: optionalInstant(alert.resolvedAt),
  };
}
