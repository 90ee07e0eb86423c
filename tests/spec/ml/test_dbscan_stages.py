"""Every data set through the stages of DBSCAN, in 1, 2, 7 and 32 partitions and in many cells, without Spark."""

from __future__ import annotations

import numpy as np
import pytest
from data_sets import DATA_SETS, DataSet
from one_process import cells_for, clustered, differences, rule_of

# A cell is not cut where its halo would be most of it: in many dimensions the neighbourhood is most of the data.
AT_LEAST = {"chains": 16, "normal, 4-D": 4, "duplicates": 2, "uniform noise": 32, "moons": 16}


@pytest.mark.parametrize("name", DATA_SETS)
def test_core_groups_and_noise_are_those_of_scikit_learn_in_any_partitions(name):
    data = DATA_SETS[name]()
    rule, n_cells = rule_of(data), []
    for n_partitions, most in ((1, 10**9), (2, 500), (7, 40), (32, 150)):
        cells = cells_for(data, rule, most)
        n_cells.append(cells.n)
        assert differences(data, *clustered(data, cells, rule, n_partitions)) == []
    assert max(n_cells) >= AT_LEAST.get(name, 1), f"{n_cells} cells show nothing"


@pytest.mark.parametrize("name", DATA_SETS)
def test_cells_too_dense_to_list_pairs_give_the_same(name):
    data = DATA_SETS[name]()
    rule = rule_of(data, pairs_at_once=0)
    assert differences(data, *clustered(data, cells_for(data, rule, 200), rule, 3)) == []


def test_a_difference_is_seen():
    data = DATA_SETS["moons"]()
    rule = rule_of(DataSet(data.points, data.eps * 1.05, data.min_samples))
    assert differences(data, *clustered(data, cells_for(data, rule, 100), rule, 2)) != []


def test_border_points_go_to_the_nearest_core_point_and_of_equal_ones_to_the_lowest_number():
    # Two dense ends at 0 and 10; the point at 5 is 4 from both of their nearest core points, the one at 4.9 nearer to 0.
    left = [[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
    right = [[x + 10.0, y] for x, y in left]
    data = DataSet(np.array([*left, *right, [5.0, 0.0], [5.1, 0.0]]), 4.0, 5)
    rule = rule_of(data)
    for most in (10**9, 3):
        label, is_core = clustered(data, cells_for(data, rule, most), rule, 2)
        assert not is_core[-2:].any()
        assert label[-2] == min(label[0], label[5]) and label[-1] == label[5]
