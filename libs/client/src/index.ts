export {
  ApiClient,
  createClient,
  errorOfProblem,
  routePath,
  type RouteAnswer,
  type RouteInput,
} from './api-client.ts';
export { loadCertificateCaller, type Caller } from './caller.ts';
export type { ClockVerdict } from './certificate-clock.ts';
export { deviceFilesOf, type DeviceFiles } from './device-files.ts';
export { createCsrPem, joinChain, loadLeaf, takeUpOrCreateKey } from './device-key.ts';
export { enrollDevice, type EnrollDevice, type EnrolledDevice } from './enroll.ts';
export { encodeOcspQuestion, parseOcspStatus } from './ocsp-question.ts';
export { fetchPlain, type PlainAnswer } from './plain-http.ts';
export { renewDevice, settleRenewal, type RenewDevice, type RenewedDevice } from './renew.ts';
export { parseApiUrl, parseEndpoints, type ServiceLocation } from './service-location.ts';
export { Transport, whyUnreachable, type HttpAnswer } from './transport.ts';
