"""The steps of data_transform: an answer becomes results that later steps can read; one of them does."""

from collections import Counter

from spelling import in_snake_case

from tasker import ApiStepHandler, PermanentError


class FetchRecords(ApiStepHandler):
    """Asks for an export. `process` gets the answer, `process_results` says what is kept of it."""

    def process(self, task, sequence, step):
        return self.connection.get(f"{task.context['export']}")

    def process_results(self, step, process_output, initial_results):
        records = self.get_from_results(process_output, "records")
        try:
            data = in_snake_case(records)
        except ValueError as error:
            raise PermanentError(str(error), code="AMBIGUOUS_KEYS") from error
        step.results = {
            "processed_at": step.last_attempted_at,  # by the engine's clock, and in the log: this attempt's start
            "data": data,
            "record_count": len(data),
        }


def count_by_country(task, sequence, step):
    """Count the records of each country; it knows nothing of the spelling of the customer system."""
    fetched = sequence["process_results"].results
    return dict(Counter(record["home_address"]["country"] for record in fetched["data"]))
