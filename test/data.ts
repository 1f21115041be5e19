/** Folder of real models, images and known answers that some tests need, from `ZOO_TEST_DATA`; those tests are skipped without it. */
export const testData: string | undefined = process.env.ZOO_TEST_DATA

/** For titles of tests that may be skipped: says why. */
export const needsTestData = testData === undefined ? ' (skipped: ZOO_TEST_DATA is not set)' : ''

/** Long tests run under `npm run test:full`. */
export const full: boolean = process.env.ZOO_TEST_FULL === '1'
