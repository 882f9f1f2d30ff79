"""Read the findings of a report."""


def told(report):
    """Give the findings: name -> (level, what, repair, without the python)."""
    return {
        finding['name']: (
            finding['level'],
            finding['what'],
            finding['repair'].replace(
                f'{report["python"]["executable"]} -m pip', 'pip'
            ),
        )
        for finding in report['findings']
    }


def only(report, name):
    """Give what is wrong and the command, of a report with one finding."""
    findings = told(report)
    assert list(findings) == [name], findings
    level, what, repair = findings[name]
    assert level == 'error'
    return what, repair
