export {
  ApiClient,
  createClient,
  errorOfProblem,
  routePath,
  type RouteInput,
} from './api-client.ts';
export { loadCertificateCaller, type Caller } from './caller.ts';
export type { ClockVerdict } from './certificate-clock.ts';
export { deviceFilesOf } from './device-files.ts';
export { createCsrPem, joinChain, takeUpOrCreateKey } from './device-key.ts';
export { createService, enrollDevice, type KitPlace } from './enroll.ts';
export { issueCertificate } from './issue-certificate.ts';
export { encodeOcspQuestion, parseOcspStatus } from './ocsp-question.ts';
export { fetchPlain } from './plain-http.ts';
export { isZip, makeKit } from './kit.ts';
export { renewDevice, settleRenewal } from './renew.ts';
export { parseApiUrl, parseEndpoints, type ServiceLocation } from './service-location.ts';
export { whyUnreachable } from './transport.ts';
