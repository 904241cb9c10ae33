/** zod as the language of the schema: the one place that names the package. */
export { z } from 'zod';
