"""Is every tensor of a file and of a model in exactly one class?"""


def assert_partition(report, file, own):
    """Hold a report to the names of a file and of the model that loads it.

    Args:
        report: the ``LoadReport``.
        file: the names of all tensors in the file, under the model's names
            as far as they are not elsewhere in the file.
        own: the names of all tensors of the model.
    """
    of_file = [
        *report.loaded,
        *report.unfit,
        *report.shared,
        *report.ignored,
    ]
    assert len(of_file) == len(set(of_file))
    assert set(of_file) <= set(file)
    assert len(of_file) + report.outside == len(file)
    of_model = [*report.loaded, *report.unfit, *report.new, *report.kept]
    assert sorted(of_model) == sorted(own)
    parts = {*report.renamed, *report.resized, *report.cast}
    assert parts <= set(report.loaded)
