import { afterAll, afterEach, beforeAll, beforeEach, describe } from 'vitest';
import { SERVICES } from '../../services/services.ts';
import { checkService, type CheckedService } from './checked-service.ts';
import { documentsOf } from './documents.ts';
import { describeEvents } from './rules-of-events.ts';
import { describeProbes, describeStartAndStop } from './rules-of-processes.ts';
import { describeRequests } from './rules-of-requests.ts';
import { isChecked } from './service-process.ts';
import { subjectOf } from './subject.ts';

/** The rules of services/CONTRACT.md for every service, driven by its documents. The gateway has clients of its own. */
const NAMES = SERVICES.map(({ name }) => name).filter((name) => name !== 'gateway' && isChecked(name));

describe.each(NAMES)('%s', (name) => {
  let service: CheckedService;
  beforeAll(async () => void (service = await checkService(name, { count: 1 })));
  afterAll(() => service?.stop());
  beforeEach(() => service.reset());
  afterEach(() => service.assertDocumented());

  const subject = subjectOf(name, documentsOf(name), () => service);
  describeStartAndStop(subject);
  describeProbes(subject);
  describeRequests(subject);
  if (subject.documents.received.length > 0) describeEvents(subject);
});
